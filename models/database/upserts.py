"""INSERT … ON CONFLICT, in the words of either database."""

from typing import Any

from sqlalchemy import Insert, inspect
from sqlmodel import SQLModel

from models.database.transaction import DIALECTS, Transaction


def insert_or_nothing(session: Transaction, table: type[SQLModel], *rows: dict[str, Any]) -> Insert:
    """Writes the rows that are not there yet; the result's `rowcount` says how many those were.

    For several rows SQLAlchemy compiles the statement anew each time; for one it knows it again.
    """
    values = rows[0] if len(rows) == 1 else list(rows)
    return insert(session, table).values(values).on_conflict_do_nothing()


def insert_or_add(
    session: Transaction, table: type[SQLModel], row: dict[str, Any], *, adding: str, replacing: str
) -> Insert:
    """Writes a row; to one that is there already, `adding` is added, and `replacing` takes its place."""
    statement = insert(session, table).values(row)
    added = getattr(table, adding) + statement.excluded[adding]
    changed = {adding: added, replacing: statement.excluded[replacing]}
    return statement.on_conflict_do_update(index_elements=inspect(table).primary_key, set_=changed)


def insert(session: Transaction, table: type[SQLModel]) -> Any:
    return DIALECTS[session.dialect.name].insert(table.__table__)
