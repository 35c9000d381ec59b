"""What a mutation's field is told, and how what it returned is spelled."""

import dataclasses
import inspect
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from typing import Any, get_type_hints
from uuid import UUID

import orjson
from graphql import GraphQLField
from graphql.execution.values import VariableValues, get_argument_values
from pydantic import BaseModel, create_model

from gateway.graphql.outcomes import NULL
from gateway.graphql.plans import Plan, missing
from gateway.graphql.selection import Field
from resolvers.inputs import NO_SUCH_ID, Input, validated


def not_yet(field: Field, entities: Collection[str]) -> Any:
    """Stands for what an operation has not returned: an id, or a payload that names some."""
    return NO_SUCH_ID if field.named.name in entities else defaultdict(lambda: NO_SUCH_ID)


def arguments(field: Field, definition: GraphQLField, variables: VariableValues) -> dict[str, Any]:
    """What the operation is given: validated by its own annotations; null means the default."""
    given = get_argument_values(definition, field.nodes[0], variables)
    shape = arguments_of(field.operation)
    checked = validated(shape, {name: value for name, value in given.items() if value is not None})
    return {name: getattr(checked, name) for name in shape.model_fields}


@cache
def arguments_of(operation: Callable[..., Any]) -> type[BaseModel]:
    """An operation's parameters as one shape, so that all of them are checked and refused alike."""
    hints = get_type_hints(operation, include_extras=True)
    _, *given = inspect.signature(operation).parameters.values()
    entries = {each.name: (hints[each.name], ... if each.default is each.empty else each.default) for each in given}
    return create_model(operation.__qualname__, __base__=Input, **entries)


def returned(result: Any) -> Any:
    """An id as it is; a payload by the names of its values."""
    if not dataclasses.is_dataclass(result):
        return result
    return {field.name: getattr(result, field.name) for field in dataclasses.fields(result)}


def spelled(field: Field, plan: Plan, result: Any, row: Sequence[str | None]) -> str:
    """The field's JSON: a plain value, an entity that was read, or a payload of both."""
    if field.fields is None:
        return leaf(result)
    read = {root.field.key: text(plan, row, index) for index, root in enumerate(plan.roots)}
    if not isinstance(result, Mapping):
        return read[field.key]
    entries = [f'"{below.key}":{read.get(below.key) or plain(below, result)}' for below in field.below]
    return "{" + ",".join(entries) + "}"


def text(plan: Plan, row: Sequence[str | None], index: int) -> str:
    root = plan.roots[index]
    if row[root.column] is None and root.field.required:
        raise missing(root)
    return row[root.column] or NULL


def plain(field: Field, result: Mapping[str, Any]) -> str:
    return leaf(field.parent if field.name == "__typename" else result[field.name])


def leaf(value: Any) -> str:
    return orjson.dumps(wired(value)).decode()


def wired(value: Any) -> Any:
    """A plain value as the wire spells it."""
    match value:
        case Enum():
            return value.name
        case UUID():
            return str(value)
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        case list() | tuple():
            return list(map(wired, value))
    return value
