"""The result of an operation: the JSON text of each root field, and the errors."""

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any
from uuid import UUID

import orjson
from graphql import GraphQLError

from gateway.graphql.documents.selection import Field
from gateway.graphql.errors import field_error
from gateway.graphql.planning.plan import Plan, RootField, not_found_error
from models.errors import ValidationError
from resolvers.inputs import NIL_UUID

NULL = "null"
MAX_RESPONSE_CHARACTERS = 64 * 2**20
"""Points limit the number of objects in a response, but not their size."""
RESPONSE_TOO_LARGE = "The response is larger than {:,} characters; request fewer rows or fewer fields"


@dataclass
class ExecutionResult:
    """The fields of an operation. A field with an error is null, and so is all data if the field is non-null."""

    complete: bool
    """False if graphql-core has to complete the response: introspection, fields in plain Python."""
    texts: dict[str, str] = field(default_factory=dict)
    errors: list[GraphQLError] = field(default_factory=list)
    error_by_key: dict[str, GraphQLError] = field(default_factory=dict)
    """The first error of each field that has one."""
    data_is_null: bool = False

    def set_field(self, field: Field, text: str | None) -> None:
        self.texts[field.key] = text or NULL

    def set_error(self, field: Field, error: Exception) -> None:
        error = error if isinstance(error, GraphQLError) else field_error(error, field)
        self.texts[field.key] = NULL
        self.errors.append(error)
        self.error_by_key.setdefault(field.key, error)
        self.data_is_null = self.data_is_null or field.is_required

    def to_bytes(self) -> bytes:
        if self.data_is_null:
            return NULL.encode()
        return ("{" + ",".join([f'"{key}":{text}' for key, text in self.texts.items()]) + "}").encode()

    def to_root_value(self) -> dict[str, Any]:
        """Return graphql-core's root value, in which an error is raised by its field."""
        return {key: self.error_by_key.get(key) or orjson.loads(text) for key, text in self.texts.items()}


def from_row(plan: Plan, row: Sequence[str | None], errors: Sequence[GraphQLError]) -> ExecutionResult:
    """Return the columns of a row as the fields of a query. Raises `ValidationError` if they are too large."""
    if sum([len(text) for text in row if text]) > MAX_RESPONSE_CHARACTERS:
        raise ValidationError(RESPONSE_TOO_LARGE.format(MAX_RESPONSE_CHARACTERS))
    result = ExecutionResult(plan.complete)
    error_by_key = {error.path[0]: error for error in reversed(errors)}
    for root in plan.roots:
        error = root.error or error_by_key.get(root.field.key)
        text = None if root.column is None else row[root.column]
        if error is None and text is None and root.field.is_required:
            error = not_found_error(root)
        if error is None:
            result.set_field(root.field, text)
        else:
            result.set_error(root.field, error)
    return result


def placeholder_result(*, is_entity: bool) -> Any:
    """Return a stand-in for what an operation will return: an id, or a payload that names some."""
    return NIL_UUID if is_entity else defaultdict(lambda: NIL_UUID)


def to_mapping(returned: Any) -> Any:
    """Return a payload as a mapping of its fields, and an id unchanged."""
    if not dataclasses.is_dataclass(returned):
        return returned
    return {field.name: getattr(returned, field.name) for field in dataclasses.fields(returned)}


def serialize_field(field: Field, plan: Plan, returned: Any, row: Sequence[str | None]) -> str:
    """Serialize what an operation returned: a plain value, an entity that was read, or a payload of both."""
    if field.fields is None:
        return serialize_leaf(returned)
    entities = {root.field.key: entity_text(root, row) for root in plan.roots}
    if not isinstance(returned, Mapping):
        return entities[field.key]
    entries = [
        f'"{child.key}":{entities.get(child.key) or serialize_plain(child, returned)}' for child in field.children
    ]
    return "{" + ",".join(entries) + "}"


def entity_text(root: RootField, row: Sequence[str | None]) -> str:
    if row[root.column] is None and root.field.is_required:
        raise not_found_error(root)
    return row[root.column] or NULL


def serialize_plain(field: Field, payload: Mapping[str, Any]) -> str:
    return serialize_leaf(field.parent if field.name == "__typename" else payload[field.name])


def serialize_leaf(value: Any) -> str:
    return orjson.dumps(to_json_value(value)).decode()


def to_json_value(value: Any) -> Any:
    """Convert a plain value as GraphQL serializes it: enums by name, timestamps in UTC."""
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
