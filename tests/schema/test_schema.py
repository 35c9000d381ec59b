"""The schema: committed, described, as promised, and true to its entities."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    GraphQLScalarType,
    build_schema,
    find_breaking_changes,
    find_dangerous_changes,
    is_introspection_type,
    is_specified_scalar_type,
)
from sqlalchemy import inspect as mapped

import models
import resolvers
import schema as room
from gateway.graphql.planning.visibility import has_visibility_rule
from schema import schema
from schema.fields import ComputedField, entity_type
from schema.types import Node

COMMITTED = Path(room.__file__).with_name("schema.graphql")
CONTRACT = Path(__file__).with_name("contract.graphql")
SHOWN = [
    type_
    for type_ in schema._schema.type_map.values()
    if not is_introspection_type(type_) and not is_specified_scalar_type(type_) and type_.name != "ID"
]


def test_the_committed_schema_is_current() -> None:
    """`gateway schema` writes it anew."""
    assert COMMITTED.read_text() == schema.as_str() + "\n"


def test_the_schema_keeps_what_was_promised() -> None:
    """Nothing is taken away or changed, defaults among it."""
    promised, given = build_schema(CONTRACT.read_text()), build_schema(schema.as_str())
    assert find_breaking_changes(promised, given) == []
    changed = find_dangerous_changes(promised, given)
    assert [change.description for change in changed if "ADDED" not in change.type.name] == []


def described() -> Iterator[tuple[str, str | None]]:
    """Everything that a client sees, with what is said of it."""
    for type_ in SHOWN:
        yield type_.name, type_.description
        for name, part in {**getattr(type_, "fields", {}), **getattr(type_, "values", {})}.items():
            yield f"{type_.name}.{name}", part.description
            for argument, kind in getattr(part, "args", {}).items():
                yield f"{type_.name}.{name}({argument})", kind.description


def test_scalars_of_our_own_say_what_specifies_them() -> None:
    """Clients that generate types know by it what to make of a moment."""
    scalars = {type_.name: type_.specified_by_url for type_ in SHOWN if isinstance(type_, GraphQLScalarType)}
    assert scalars == {"DateTime": "https://www.rfc-editor.org/rfc/rfc3339#section-5.6"}


def test_everything_that_a_client_sees_is_described() -> None:
    """Types, fields, arguments, inputs and the values of enums."""
    assert [place for place, words in described() if not words] == []


def doubtful(name: str, entity: type, fields: dict[str, Any]) -> Iterator[str]:
    """Non-null fields over what may be null, hidden or missing."""
    for field in fields.values():
        declared = field.extensions["strawberry-definition"]
        if isinstance(declared, ComputedField) or declared.resolver or not str(field.type).endswith("!"):
            continue
        attribute = mapped(entity).attrs[declared.python_name]
        if not hasattr(attribute, "mapper"):
            if attribute.columns[0].nullable:
                yield f"{name}.{declared.python_name}"
        elif not attribute.uselist:
            leads_to_hidden = has_visibility_rule(attribute.mapper.class_) and attribute.key not in HELD.get(entity, ())
            if leads_to_hidden or any(column.nullable for column in attribute.local_columns):
                yield f"{name}.{declared.python_name}"


HELD = {models.Comment: ("post",)}
"""Relationships to a row that is seen by everyone who sees this one, because its rule says so."""


def test_what_is_never_null_stands_on_what_is_never_null() -> None:
    """A column that may be null, or a row that may be hidden, cannot back a non-null field."""
    for type_ in SHOWN:
        entity = getattr(getattr(type_.extensions.get("strawberry-definition"), "origin", None), "entity", None)
        if entity:
            assert list(doubtful(type_.name, entity, type_.fields)) == []


def test_columns_have_the_types_that_they_are_declared_with() -> None:
    """A `String` is text, an `Int` a whole number: JSON comes from the database, and nobody looks at it again."""
    python = {"String": str, "Int": int, "Boolean": bool, "DateTime": "datetime", "ID": "UUID"}
    others = {models.WebhookEvent.__table__.c.id: str}  # an id that is Stripe's
    for type_ in SHOWN:
        entity = getattr(getattr(type_.extensions.get("strawberry-definition"), "origin", None), "entity", None)
        for field in type_.fields.values() if entity else ():
            declared = field.extensions["strawberry-definition"]
            column = mapped(entity).columns.get(declared.python_name)
            if declared.resolver is None and column is not None:
                kind = getattr(column.type, "impl_instance", column.type).python_type
                expected = others.get(column) or python.get(str(field.type).rstrip("!"))
                assert expected in (None, kind, kind.__name__), f"{type_.name}.{declared.python_name}"


def test_a_nullable_relationship_cannot_be_declared_as_never_null() -> None:
    """The test above sees it."""

    @entity_type(models.Post, name="Wrong")
    class Wrong(Node):
        """A post."""

        category: "models.Category"
        published_at: "str"

    fields = {
        field.python_name: type("Field", (), {"type": "X!", "extensions": {"strawberry-definition": field}})
        for field in Wrong.__strawberry_definition__.fields
        if field.python_name != "id"
    }
    assert list(doubtful("Wrong", models.Post, fields)) == ["Wrong.category", "Wrong.published_at"]


@pytest.mark.parametrize("order", list(resolvers.posts.PostOrder))
def test_every_order_is_there(order: Any) -> None:
    """An order that clients may ask for is one that the resolver knows."""
    assert resolvers.posts.posts(None, order_by=order)._order_by_clauses
