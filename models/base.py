"""The base classes of tables: ids, timestamps in UTC and the visibility rule."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Any
from uuid import UUID

import uuid_utils.compat
from sqlalchemy import ColumnElement, DateTime, String, true
from sqlalchemy.orm.attributes import set_attribute
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel

from models.viewer import Viewer

SQLModel.metadata.naming_convention = {
    "pk": "%(table_name)s_pkey",
    "fk": "%(table_name)s_%(column_0_name)s_fkey",
    "uq": "%(table_name)s_%(column_0_name)s_key",
    "ix": "%(table_name)s_%(column_0_name)s",
}

BINARY_COLLATION = String().with_variant(String(collation="C"), "postgresql")
"""Text that both databases sort by code point, whatever the locale of Postgres is."""


class UTCDateTime(TypeDecorator[datetime]):
    """A timestamp in UTC with microseconds, on both databases."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        return value and value.replace(tzinfo=UTC)


def new_id() -> UUID:
    """Return a UUID of version 7: unique across tables and sortable by creation time."""
    return uuid_utils.compat.uuid7()


def utcnow() -> datetime:
    return datetime.now(UTC)


class Row(SQLModel):
    """The base class of tables. Its constructor looks up the fields' defaults once per class, not once per row."""

    def __init__(self, **values: Any) -> None:
        static, factories = defaults(type(self))
        self.__dict__.update(static)
        for name, factory in factories.items():
            if name not in values:
                self.__dict__[name] = factory()
        for name, value in values.items():
            if name in plain_columns(type(self)):
                self.__dict__[name] = value
            else:
                set_attribute(self, name, value)
        object.__setattr__(self, "__pydantic_fields_set__", set(values))


@cache
def defaults(table: type[Row]) -> tuple[dict[str, Any], dict[str, Callable[[], Any]]]:
    """Return the default values and the default factories of a table's optional fields."""
    optional = {name: field for name, field in table.model_fields.items() if not field.is_required()}
    factories = {name: field.default_factory for name, field in optional.items() if field.default_factory}
    return {name: field.default for name, field in optional.items() if name not in factories}, factories


@cache
def plain_columns(table: type[Row]) -> frozenset[str]:
    """Return the columns without listeners for their `set` event."""
    return frozenset(name for name in columns(table) if not getattr(table, name).impl.dispatch.set)


def column_values(row: SQLModel) -> dict[str, Any]:
    """Return a row's values by column name, without loading any."""
    return {name: row.__dict__.get(name) for name in columns(type(row))}


@cache
def columns(table: type[SQLModel]) -> tuple[str, ...]:
    return tuple(column.key for column in table.__table__.columns)


class Entity(Row):
    """A table with an id. Its rows are visible to everyone, unless it overrides `visible_to`."""

    id: UUID = Field(default_factory=new_id, primary_key=True)

    @classmethod
    def visible_to(cls, viewer: Viewer | None) -> ColumnElement[bool]:
        """Return the condition that the read engine adds wherever it reads this table, at any depth."""
        return true()


LAZY_RAISE = {"lazy": "raise"}
"""Relationship option: raise an error instead of loading rows implicitly."""
