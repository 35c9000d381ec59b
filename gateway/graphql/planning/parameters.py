"""SQL parameters whose values come from the request.

A plan depends on a document, the *shape* of its variables and the role of the viewer. The shape is all that resolvers
may branch on: nulls, booleans, enums and the lengths of lists. Any other value is a `RequestParameter`.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from enum import Enum
from functools import reduce
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, BindParameter, ColumnElement, Integer, String, Uuid, literal
from sqlalchemy.types import Float, TypeEngine

from gateway.graphql.documents.selection import Field
from models import Viewer
from models.base import UTCDateTime
from resolvers.inputs import ExternalId

TYPES: dict[type, TypeEngine] = {
    int: Integer(),
    str: String(),
    UUID: Uuid(),
    ExternalId: Uuid(),
    float: Float(),
    datetime: UTCDateTime(),
}

Values = dict[str, Any]
"""The values of a request: its coerced variables, the viewer's id, and the result of a mutation."""

Path = tuple[str | int, ...]

VIEWER: Path = ("viewer",)
"""Path of the viewer's id."""


class RequestParameter(BindParameter):
    """A SQL parameter that is taken from a path of the request's values and parsed when it is bound."""

    inherit_cache = False

    def __init__(
        self,
        path: Path,
        type_: TypeEngine,
        parse: Callable[[Any], Any] | None = None,
        field: Field | None = None,
        fallback: Any = None,
    ) -> None:
        super().__init__("request", required=True, unique=True, type_=type_)
        self.path, self.parse = path, parse
        self.field = field
        """The field that gets the error if `parse` raises one."""
        self.fallback = fallback
        """The value that the statement gets then, so that the other fields still have results."""


class StatementParameters:
    """The parsed parameters of one statement, and the lists whose counts a request may supply from the cache."""

    def __init__(self) -> None:
        self.parsed: list[RequestParameter] = []
        """Parameters that may be invalid, even if the statement does not contain them."""
        self.counted_lists: list[Any] = []

    def bind(
        self, value: Any, type_: TypeEngine, parse: Callable[[Any], Any], field: Field, fallback: Any = None
    ) -> ColumnElement:
        """Parse a literal now, or a request parameter whenever a request binds it."""
        if not isinstance(value, RequestParameter):
            return literal(parse(value), type_)
        self.parsed.append(RequestParameter(value.path, type_, parse, field, fallback))
        return self.parsed[-1]

    def bind_count(self, counted: Any) -> RequestParameter:
        """Return the parameter for the cached count of a list at the root; null if it is not cached."""
        self.counted_lists.append(counted)
        return RequestParameter(("counts", len(self.counted_lists) - 1), BigInteger())


def get_path(values: Values, path: Sequence[str | int]) -> Any:
    return reduce(lambda inner, step: inner[step], path, values)


def to_parameters(value: Any, path: Path) -> Any:
    """Replace everything that is not part of a value's shape by parameters."""
    match value:
        case None | bool() | Enum():
            return value
        case dict():
            return {key: to_parameters(inner, (*path, key)) for key, inner in value.items()}
        case list():
            return [to_parameters(inner, (*path, index)) for index, inner in enumerate(value)]
    return RequestParameter(path, TYPES[type(value)])


def variables_shape(value: Any) -> Any:
    """Return the hashable shape of a value. Requests with the same shape share a plan."""
    match value:
        case None | bool() | Enum():
            return value
        case dict():
            return tuple((key, variables_shape(inner)) for key, inner in value.items())
        case list():
            return tuple(map(variables_shape, value))
    return type(value)


def generic_viewer(viewer: Viewer | None) -> Viewer | None:
    """Return a viewer of the same role whose id is a parameter."""
    return viewer and replace(viewer, id=RequestParameter(VIEWER, Uuid()))
