"""INSERT … ON CONFLICT DO NOTHING, in the words of either database."""

from typing import Any

from sqlalchemy import Insert
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel


def insert_or_nothing(session: AsyncSession, table: type[SQLModel], *rows: dict[str, Any]) -> Insert:
    """Writes the rows that are not there yet; the result's `rowcount` says how many those were."""
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    return dialect.insert(table).values(list(rows)).on_conflict_do_nothing()
