"""Advisory locks: work that must be done one after another, although no row exists yet that could be locked."""

from collections.abc import Iterable

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession


async def lock_names(session: AsyncSession, names: Iterable[str]) -> None:
    """Lock these names until the transaction ends. SQLite has a single writer anyway."""
    if session.bind.dialect.name == "postgresql":
        for name in sorted(set(names)):  # in one order, or two transactions could wait for each other
            await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))
