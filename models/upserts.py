"""INSERT … ON CONFLICT, in the words of either database."""

from typing import Any

from sqlalchemy import Insert, inspect
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel


def insert_or_nothing(session: AsyncSession, table: type[SQLModel], *rows: dict[str, Any]) -> Insert:
    """Writes the rows that are not there yet; the result's `rowcount` says how many those were."""
    return insert(session, table).values(list(rows)).on_conflict_do_nothing()


def insert_or_add(
    session: AsyncSession, table: type[SQLModel], row: dict[str, Any], *, adding: str, replacing: str
) -> Insert:
    """Writes a row; to one that is there already, `adding` is added, and `replacing` takes its place."""
    statement = insert(session, table).values(row)
    added = getattr(table, adding) + statement.excluded[adding]
    changed = {adding: added, replacing: statement.excluded[replacing]}
    return statement.on_conflict_do_update(index_elements=inspect(table).primary_key, set_=changed)


def insert(session: AsyncSession, table: type[SQLModel]) -> Any:
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    return dialect.insert(table)
