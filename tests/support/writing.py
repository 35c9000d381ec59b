"""Content that tests write, and functions that read and change tables."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlmodel import SQLModel

from models import Category, Database, Event

CONTENT = "Long enough to be the content of a post."
UNKNOWN_ID = "01900000-0000-7000-8000-000000000000"
"""A valid id of no row."""


async def create_category(db: Database, name: str) -> dict[str, str]:
    """Insert a category, which no client can create, and return it as in posts."""
    category = Category(name=name, slug=name.lower())
    async with db.writing() as session:
        session.add(category)
    return {"id": str(category.id), "name": category.name, "slug": category.slug}


async def get_events(db: Database) -> list[tuple[str, str, str]]:
    """Return type, entity and actor of each event, in order."""
    async with db.reading() as session:
        log = await session.scalars(select(Event).order_by(Event.id))
        return [(event.type, str(event.entity_id), str(event.actor_id)) for event in log]


async def get_event_types(db: Database) -> list[str]:
    """Return the types of the events in the log, in order."""
    return [type for type, _, _ in await get_events(db)]


async def count_rows(db: Database, tables: Sequence[type[SQLModel]]) -> dict[str, int]:
    """Return the number of rows of each table."""
    async with db.reading() as session:
        return {
            str(table.__tablename__): (await session.scalars(select(func.count()).select_from(table))).one()
            for table in tables
        }


async def change_row(db: Database, entity: type[SQLModel], id: str, **values: Any) -> None:
    """Set columns of a row, past the API."""
    async with db.writing() as session:
        row = await session.get_one(entity, UUID(id))
        for name, value in values.items():
            setattr(row, name, value)
