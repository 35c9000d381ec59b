"""Taking turns: what must be done one after another, though it concerns no row that is there yet."""

from collections.abc import Iterable

from sqlalchemy import func, select

from models.database.transaction import Transaction


async def take_turns(session: Transaction, names: Iterable[str]) -> None:
    """Hold these names until the transaction ends, once nobody else does. On SQLite there is one writer as it is."""
    if session.dialect.name == "postgresql":
        for name in sorted(set(names)):  # in one order, or two would wait for each other
            await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))
