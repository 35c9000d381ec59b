"""GraphQL input types, derived from the shapes that resolvers declare: no field is written down twice.

A dataclass (`PostFilter`) keeps its name; a pydantic model (`CreatePost`) is followed by `Input`.
"""

import dataclasses
import inspect
import types
from collections.abc import Iterator, Mapping
from functools import cache, reduce
from operator import or_
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin, get_type_hints

import strawberry
from pydantic import BaseModel
from strawberry.types.unset import UNSET
from strawberry.utils.str_converters import to_camel_case

from schema.descriptions import INPUT_DESCRIPTIONS, attribute_docstrings

TypeAndDefault = tuple[Any, Any]
"""A type and a default."""


class InputField(NamedTuple):
    """One field of an input."""

    name: str
    annotation: Any
    default: Any
    description: str | None
    costs: Mapping[str, Any]
    """`points`: what each look at a list costs besides that is asked for by this field."""


def to_graphql_type(annotation: Any) -> Any:
    """What GraphQL calls a type of Python's: limits taken off, shapes made inputs."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return to_graphql_type(inner[0])
    if origin in (Union, types.UnionType):
        return reduce(or_, map(to_graphql_type, inner))
    if origin is list:
        return list[to_graphql_type(inner[0])]
    return input_of(annotation) if is_input_model(annotation) else annotation


def optional_type(annotation: Any, default: Any) -> tuple[Any, Any]:
    """What has a default may be left out, and null means the default."""
    return to_graphql_type(annotation) | None, UNSET if default is None else default


def is_input_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and (dataclasses.is_dataclass(annotation) or issubclass(annotation, BaseModel))


@cache
def input_of(shape: type) -> type:
    """The input type of a dataclass or a pydantic model."""
    entries = list(entries_of(shape))
    fields = {
        entry.name: strawberry.field(default=entry.default, description=entry.description, metadata=entry.costs)
        for entry in entries
    }
    body = {"__annotations__": {entry.name: entry.annotation for entry in entries}, "__module__": shape.__module__}
    name = shape.__name__ + ("Input" if issubclass(shape, BaseModel) else "")
    derived = strawberry.input(type(name, (), {**body, **fields}), description=inspect.getdoc(shape))
    derived.shape = shape
    return derived


def entries_of(shape: type) -> Iterator[InputField]:
    words = attribute_docstrings(shape)
    for name, kind, description, costs in (
        model_fields(shape) if issubclass(shape, BaseModel) else dataclass_fields(shape)
    ):
        yield InputField(
            name, *kind, description or words.get(name) or INPUT_DESCRIPTIONS.get(to_camel_case(name)), costs
        )


def model_fields(shape: type[BaseModel]) -> Iterator[tuple[str, TypeAndDefault, str | None, Mapping[str, Any]]]:
    for name, field in shape.model_fields.items():
        required = to_graphql_type(field.annotation), dataclasses.MISSING
        kind = required if field.is_required() else optional_type(field.annotation, field.default)
        yield name, kind, field.description, {}


def dataclass_fields(shape: type) -> Iterator[tuple[str, TypeAndDefault, None, Mapping[str, Any]]]:
    hints = get_type_hints(shape)
    for field in dataclasses.fields(shape):
        yield field.name, optional_type(hints[field.name], field.default), None, field.metadata
