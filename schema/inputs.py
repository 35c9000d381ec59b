"""GraphQL input types, derived from the dataclasses and pydantic models that resolvers declare.

A dataclass (`PostFilter`) keeps its name; the name of a pydantic model (`CreatePost`) gets the suffix `Input`.
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

from schema.descriptions import INPUT_DESCRIPTIONS, attribute_docstrings, describe_limits


class InputField(NamedTuple):
    """A field of an input type."""

    name: str
    annotation: Any
    default: Any
    description: str | None
    costs: Mapping[str, Any]
    """`points`: the extra cost of each list that is filtered by this field."""


def to_graphql_type(annotation: Any) -> Any:
    """Return the GraphQL type of an annotation: without constraints, and with input types for models."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return to_graphql_type(inner[0])
    if origin in (Union, types.UnionType):
        return reduce(or_, map(to_graphql_type, inner))
    if origin is list:
        return list[to_graphql_type(inner[0])]
    return input_type(annotation) if is_input_model(annotation) else annotation


def optional_type(annotation: Any, default: Any) -> tuple[Any, Any]:
    """Return the nullable type of an optional field and its default in GraphQL."""
    return to_graphql_type(annotation) | None, UNSET if default is None else default


def is_input_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and (dataclasses.is_dataclass(annotation) or issubclass(annotation, BaseModel))


@cache
def input_type(model: type) -> type:
    """Declare the input type of a dataclass or a pydantic model. Its attribute `shape` is that class."""
    fields = list(model_fields(model) if issubclass(model, BaseModel) else dataclass_fields(model))
    values = {
        field.name: strawberry.field(default=field.default, description=field.description, metadata=field.costs)
        for field in fields
    }
    body = {"__annotations__": {field.name: field.annotation for field in fields}, "__module__": model.__module__}
    name = model.__name__ + ("Input" if issubclass(model, BaseModel) else "")
    graphql_type = strawberry.input(type(name, (), {**body, **values}), description=inspect.getdoc(model))
    graphql_type.shape = model
    return graphql_type


def model_fields(model: type[BaseModel]) -> Iterator[InputField]:
    docstrings, properties = attribute_docstrings(model), model.model_json_schema()["properties"]
    for name, field in model.model_fields.items():
        required = to_graphql_type(field.annotation), dataclasses.MISSING
        kind = required if field.is_required() else optional_type(field.annotation, field.default)
        text = field.description or docstrings.get(name) or INPUT_DESCRIPTIONS.get(to_camel_case(name))
        limits = describe_limits(properties[field.alias or name])
        yield InputField(name, *kind, " ".join(filter(None, (text, limits))) or None, {})


def dataclass_fields(cls: type) -> Iterator[InputField]:
    docstrings, hints = attribute_docstrings(cls), get_type_hints(cls)
    for field in dataclasses.fields(cls):
        description = docstrings.get(field.name) or INPUT_DESCRIPTIONS.get(to_camel_case(field.name))
        yield InputField(field.name, *optional_type(hints[field.name], field.default), description, field.metadata)
