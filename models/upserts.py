"""INSERT … ON CONFLICT, in the words of either database."""

from functools import cache
from typing import Any

from sqlalchemy import Insert, inspect
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

DIALECTS = {"postgresql": postgresql, "sqlite": sqlite}


async def write(session: AsyncSession, row: SQLModel, *, unless: str | None = None) -> bool:
    """Insert a row at once, unless another has the same in the column `unless`; says whether it was written.

    The statement is compiled once. Having the session keep track of the row would cost three times as much.
    """
    statement = one_row(type(row), session.get_bind().dialect.name, unless)
    return bool((await session.execute(statement, values_of(row))).rowcount)


def values_of(row: SQLModel) -> dict[str, Any]:
    """What is to be written of a new row; an id that the database draws is none yet."""
    known = {column.key: getattr(row, column.key) for column in row.__table__.columns}
    return {name: value for name, value in known.items() if name != "id" or value is not None}


@cache
def one_row(table: type[SQLModel], dialect: str, unless: str | None) -> Insert:
    statement = DIALECTS[dialect].insert(table.__table__)
    return statement.on_conflict_do_nothing(index_elements=[unless]) if unless else statement


def insert_or_nothing(session: AsyncSession, table: type[SQLModel], *rows: dict[str, Any]) -> Insert:
    """Writes the rows that are not there yet; the result's `rowcount` says how many those were.

    For several rows SQLAlchemy compiles the statement anew each time; for one it knows it again.
    """
    values = rows[0] if len(rows) == 1 else list(rows)
    return insert(session, table).values(values).on_conflict_do_nothing()


def insert_or_add(
    session: AsyncSession, table: type[SQLModel], row: dict[str, Any], *, adding: str, replacing: str
) -> Insert:
    """Writes a row; to one that is there already, `adding` is added, and `replacing` takes its place."""
    statement = insert(session, table).values(row)
    added = getattr(table, adding) + statement.excluded[adding]
    changed = {adding: added, replacing: statement.excluded[replacing]}
    return statement.on_conflict_do_update(index_elements=inspect(table).primary_key, set_=changed)


def insert(session: AsyncSession, table: type[SQLModel]) -> Any:
    return DIALECTS[session.get_bind().dialect.name].insert(table)
