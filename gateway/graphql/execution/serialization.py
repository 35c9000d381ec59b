"""What operations return, as the answer spells it."""

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import Any
from uuid import UUID

import orjson

from gateway.graphql.documents.selection import Field
from gateway.graphql.execution.result import NULL
from gateway.graphql.planning.plan import Plan, RootField, not_found_error
from resolvers.inputs import NO_SUCH_ID


def placeholder_result(*, is_entity: bool) -> Any:
    """Stands for what an operation has not returned: an id, or a payload that names some."""
    return NO_SUCH_ID if is_entity else defaultdict(lambda: NO_SUCH_ID)


def to_mapping(result: Any) -> Any:
    """An id as it is; a payload by the names of its values."""
    if not dataclasses.is_dataclass(result):
        return result
    return {field.name: getattr(result, field.name) for field in dataclasses.fields(result)}


def serialize_field(field: Field, plan: Plan, result: Any, row: Sequence[str | None]) -> str:
    """A field's JSON: a plain value, an entity that was read, or a payload of both."""
    if field.fields is None:
        return serialize_leaf(result)
    read = {root.field.key: entity_text(root, row) for root in plan.roots}
    if not isinstance(result, Mapping):
        return read[field.key]
    entries = [f'"{below.key}":{read.get(below.key) or serialize_plain(below, result)}' for below in field.children]
    return "{" + ",".join(entries) + "}"


def entity_text(root: RootField, row: Sequence[str | None]) -> str:
    if row[root.column] is None and root.field.required:
        raise not_found_error(root)
    return row[root.column] or NULL


def serialize_plain(field: Field, result: Mapping[str, Any]) -> str:
    return serialize_leaf(field.parent if field.name == "__typename" else result[field.name])


def serialize_leaf(value: Any) -> str:
    return orjson.dumps(to_json_value(value)).decode()


def to_json_value(value: Any) -> Any:
    """A plain value as the wire spells it."""
    match value:
        case Enum():
            return value.name
        case UUID():
            return str(value)
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        case list() | tuple():
            return list(map(to_json_value, value))
    return value
