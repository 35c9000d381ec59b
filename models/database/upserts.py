"""INSERT and INSERT … ON CONFLICT for both databases."""

from functools import cache
from typing import Any

from sqlalchemy import Dialect, inspect
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

from models.base import column_values, columns
from models.database.prepared import PreparedStatement

DIALECTS = {"postgresql": postgresql, "sqlite": sqlite}


async def insert(session: AsyncSession, row: SQLModel) -> None:
    """Insert a row now, instead of with the session's next flush, and set the key that the database generates."""
    values = column_values(row)
    generated = tuple(name for name in get_keys(type(row)) if values[name] is None)
    rows = await prepare_insert(session.bind.dialect, type(row), generated).fetch(session, values)
    for name, value in zip(generated, rows[0] if generated else (), strict=True):
        setattr(row, name, value)


async def insert_ignore(session: AsyncSession, *rows: SQLModel, conflict_on: str | None = None) -> int:
    """Insert the rows of a table that do not exist yet, and return how many those were.

    A row exists if another has the same value in the column `conflict_on`; by default, in any unique column.
    """
    dialect, table = session.bind.dialect, type(rows[0])
    if len(rows) == 1:
        statement = prepare_insert_ignore(dialect, table, conflict_on)
        return len(await statement.fetch(session, column_values(rows[0])))
    statement = build_insert_ignore(dialect, table, conflict_on).values([column_values(row) for row in rows])
    return (await session.execute(statement)).rowcount


async def insert_or_increment(session: AsyncSession, row: SQLModel, *, increment: str, replace: str) -> None:
    """Insert a row. If its key exists, add to the column `increment`, and replace the column `replace`."""
    table = type(row)
    statement = build_insert(session.bind.dialect, table)
    changed = {
        increment: getattr(table, increment) + statement.excluded[increment],
        replace: statement.excluded[replace],
    }
    statement = statement.on_conflict_do_update(index_elements=get_keys(table), set_=changed)
    await session.execute(statement, column_values(row))


@cache
def prepare_insert(dialect: Dialect, table: type[SQLModel], generated: tuple[str, ...]) -> PreparedStatement:
    statement = build_insert(dialect, table)
    if generated:
        statement = statement.returning(*(table.__table__.c[name] for name in generated))
    return PreparedStatement(statement, dialect, [name for name in columns(table) if name not in generated])


@cache
def prepare_insert_ignore(dialect: Dialect, table: type[SQLModel], conflict_on: str | None) -> PreparedStatement:
    statement = build_insert_ignore(dialect, table, conflict_on).returning(*inspect(table).primary_key)
    return PreparedStatement(statement, dialect, columns(table))


def build_insert_ignore(dialect: Dialect, table: type[SQLModel], conflict_on: str | None) -> Any:
    index_elements = [conflict_on] if conflict_on else None
    return build_insert(dialect, table).on_conflict_do_nothing(index_elements=index_elements)


def build_insert(dialect: Dialect, table: type[SQLModel]) -> Any:
    return DIALECTS[dialect.name].insert(table.__table__)


@cache
def get_keys(table: type[SQLModel]) -> tuple[str, ...]:
    return tuple(column.key for column in inspect(table).primary_key)
