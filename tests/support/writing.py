"""What tests write, and what they look at behind the service's back."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlmodel import SQLModel

from models import Category, Database, Event

CONTENT = "Long enough to be the content of a post."
UNKNOWN_ID = "01900000-0000-7000-8000-000000000000"
"""A well-formed id that nothing has."""


async def create_category(db: Database, name: str) -> dict[str, str]:
    """A category, which no client can make, as posts name it."""
    category = Category(name=name, slug=name.lower())
    async with db.writing() as session:
        session.add(category)
    return {"id": str(category.id), "name": category.name, "slug": category.slug}


async def get_events(db: Database) -> list[tuple[str, str, str]]:
    """The log in order: type, entity and actor."""
    async with db.reading() as session:
        log = await session.scalars(select(Event).order_by(Event.id))
        return [(event.type, str(event.entity_id), str(event.actor_id)) for event in log]


async def get_event_types(db: Database) -> list[str]:
    """The types of the events in the log, in order."""
    return [type for type, _, _ in await get_events(db)]


async def count_rows(db: Database, tables: Sequence[type[SQLModel]]) -> dict[str, int]:
    """How many rows each table has."""
    async with db.reading() as session:
        return {
            str(table.__tablename__): (await session.scalars(select(func.count()).select_from(table))).one()
            for table in tables
        }


async def change_row(db: Database, entity: type[SQLModel], id: str, **values: Any) -> None:
    """Set columns where no client could."""
    async with db.writing() as session:
        row = await session.get_one(entity, UUID(id))
        for name, value in values.items():
            setattr(row, name, value)
