"""What every entity shares: an id, moments in UTC, and a rule that says who may see a row."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import uuid_utils.compat
from sqlalchemy import ColumnElement, DateTime, String, true
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel

from models.viewer import Viewer

SQLModel.metadata.naming_convention = {
    "pk": "%(table_name)s_pkey",
    "fk": "%(table_name)s_%(column_0_name)s_fkey",
    "uq": "%(table_name)s_%(column_0_name)s_key",
    "ix": "%(table_name)s_%(column_0_name)s",
}

BY_CODE_POINT = String().with_variant(String(collation="C"), "postgresql")
"""Text that both databases sort alike, whatever locale Postgres was set up with."""


class Moment(TypeDecorator[datetime]):
    """A point in time, kept in UTC with microseconds on both databases."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        return value and value.replace(tzinfo=UTC)


def new_id() -> UUID:
    """A UUID of version 7: unique across tables, and later ones sort later."""
    return uuid_utils.compat.uuid7()


def utcnow() -> datetime:
    return datetime.now(UTC)


class Entity(SQLModel):
    """A table with an id. Everybody sees its rows, unless `visible_to` says otherwise."""

    id: UUID = Field(default_factory=new_id, primary_key=True)

    @classmethod
    def visible_to(cls, viewer: Viewer | None) -> ColumnElement[bool]:
        """The rule that is added wherever this table is read, at any depth."""
        return true()


UNLOADED = {"lazy": "raise"}
"""For relationships: never loaded by accident; whoever wants one says so."""
