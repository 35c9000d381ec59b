"""Values that each request gives, while a plan is made once.

A plan is made from a document, the *shape* of its variables and the *kind* of its viewer. Whatever a resolver may
branch on is shape (null or not, booleans, enums, lists' lengths); every other value is `Given`: a SQL parameter.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from enum import Enum
from functools import reduce
from typing import Any
from uuid import UUID

from sqlalchemy import BindParameter, Integer, String, Uuid
from sqlalchemy.types import Float, TypeEngine

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
"""What a request gives: its coerced variables, the viewer's id, and what an operation returned."""

Path = tuple[str | int, ...]

VIEWER: Path = ("viewer",)
"""Where a request's values say who asks."""


class RequestParameter(BindParameter):
    """A parameter found at a path of the request's values, and read on the way into the statement."""

    inherit_cache = False

    def __init__(
        self,
        path: Path,
        type_: TypeEngine,
        read: Callable[[Any], Any] | None = None,
        field: Any = None,
        instead: Any = None,
    ) -> None:
        super().__init__("given", required=True, unique=True, type_=type_)
        self.path, self.read = path, read
        self.field = field
        """The field that is refused if reading fails."""
        self.fallback = instead
        """What the statement is given then, so that it answers the other fields and reads nothing for this one."""


def get_path(values: Values, path: Sequence[str | int]) -> Any:
    return reduce(lambda inner, step: inner[step], path, values)


def to_parameters(value: Any, path: Path) -> Any:
    """The same value with parameters in place of what does not belong to its shape."""
    match value:
        case None | bool() | Enum():
            return value
        case dict():
            return {key: to_parameters(inner, (*path, key)) for key, inner in value.items()}
        case list():
            return [to_parameters(inner, (*path, index)) for index, inner in enumerate(value)]
    return RequestParameter(path, TYPES[type(value)])


def variables_shape(value: Any) -> Any:
    """What a plan depends on; two values of one shape share their plans."""
    match value:
        case None | bool() | Enum():
            return value
        case dict():
            return tuple((key, variables_shape(inner)) for key, inner in value.items())
        case list():
            return tuple(map(variables_shape, value))
    return type(value)


def generic_viewer(viewer: Viewer | None) -> Viewer | None:
    """A viewer of the same kind, whoever it is."""
    return viewer and replace(viewer, id=RequestParameter(VIEWER, Uuid()))
