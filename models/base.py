"""What every entity shares: an id, moments in UTC, and a rule that says who may see a row."""

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
"""Text that both databases sort alike, whatever locale Postgres was set up with."""


class UTCDateTime(TypeDecorator[datetime]):
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


class Row(SQLModel):
    """Rows that are quickly made: SQLModel's own way finds out anew for each what its fields begin as."""

    def __init__(self, **values: Any) -> None:
        begins, made = defaults(type(self))
        self.__dict__.update(begins)
        for name, make in made.items():
            if name not in values:
                self.__dict__[name] = make()
        for name, value in values.items():
            if name in plain_columns(type(self)):
                self.__dict__[name] = value
            else:
                set_attribute(self, name, value)
        object.__setattr__(self, "__pydantic_fields_set__", set(values))


@cache
def defaults(table: type[Row]) -> tuple[dict[str, Any], dict[str, Callable[[], Any]]]:
    """What its fields are where nothing is said of them, and what makes that of the others."""
    optional = {name: field for name, field in table.model_fields.items() if not field.is_required()}
    made = {name: field.default_factory for name, field in optional.items() if field.default_factory}
    return {name: field.default for name, field in optional.items() if name not in made}, made


@cache
def plain_columns(table: type[Row]) -> frozenset[str]:
    """The columns of which nobody listens to what they are set to."""
    return frozenset(name for name in columns(table) if not getattr(table, name).impl.dispatch.set)


def column_values(row: SQLModel) -> dict[str, Any]:
    """What is written, or to be written, of a row."""
    kept = row.__dict__
    return {name: kept.get(name) for name in columns(type(row))}


@cache
def columns(table: type[SQLModel]) -> tuple[str, ...]:
    return tuple(column.key for column in table.__table__.columns)


class Entity(Row):
    """A table with an id. Everybody sees its rows, unless `visible_to` says otherwise."""

    id: UUID = Field(default_factory=new_id, primary_key=True)

    @classmethod
    def visible_to(cls, viewer: Viewer | None) -> ColumnElement[bool]:
        """The rule that is added wherever this table is read, at any depth."""
        return true()


LAZY_RAISE = {"lazy": "raise"}
"""For relationships: never loaded by accident; whoever wants one says so."""
