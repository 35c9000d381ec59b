"""Collect the fields of an operation, with fragments, aliases, `@skip` and `@include` resolved."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    GraphQLField,
    GraphQLInputType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    get_named_type,
    is_abstract_type,
    is_composite_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
)
from graphql.execution.collect_fields import FieldDetails, FragmentDetails, collect_fields, collect_subfields
from graphql.execution.values import VariableValues, get_argument_values

from schema.cache_control import Cache
from schema.fields import ComputedField, DatabaseField

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Field:
    """One entry of the result."""

    key: str
    name: str
    parent: str
    path: Path
    """Its path in the result. In a list, the path in the first row."""
    nodes: list[FieldNode]
    type: Any = None
    arguments: Mapping[str, Any] | None = None
    fields: Mapping[str, list["Field"]] | None = None
    """The entries below it, by the name of the concrete type."""
    resolver: Callable[..., Any] | None = None
    operation: Callable[..., Any] | None = None
    """The function of a mutation or subscription, which runs before the field is read."""
    columns: tuple[str, ...] | None = None
    """The columns from which Python computes the value."""
    cache: Cache | None = None
    """The declared cache control."""

    @cached_property
    def children(self) -> list["Field"]:
        """The entries below a field of exactly one concrete type."""
        (fields,) = self.fields.values()
        return fields

    @property
    def named_type(self) -> GraphQLNamedType:
        return get_named_type(self.type)

    @property
    def wrapper_type(self) -> str | None:
        """`Connection` or `Page` for a list that is paginated."""
        definition = self.named_type.extensions.get("strawberry-definition")
        generic = getattr(definition, "concrete_of", None)
        return generic and generic.name

    @property
    def is_container(self) -> bool:
        """True for objects that are no entity: connections, pages, edges and payloads."""
        definition = self.named_type.extensions.get("strawberry-definition")
        return is_object_type(self.named_type) and not hasattr(definition.origin, "entity")

    @property
    def is_required(self) -> bool:
        return is_non_null_type(self.type)

    @property
    def is_list(self) -> bool:
        return is_many(self.type)

    @property
    def is_computed(self) -> bool:
        """True if Python computes it or a field below it."""
        children = [field for fields in (self.fields or {}).values() for field in fields]
        return self.columns is not None or any(field.is_computed for field in children)


@dataclass(frozen=True)
class FieldCollector:
    """Collects the fields of one operation. The variables are values or `RequestParameter`s."""

    schema: GraphQLSchema
    fragments: Mapping[str, FragmentDefinitionNode]
    operation: OperationDefinitionNode
    variables: VariableValues

    @cached_property
    def context(self) -> tuple[Any, ...]:
        details = {name: FragmentDetails(node) for name, node in self.fragments.items()}
        return self.schema, details, self.variables

    @property
    def root(self) -> GraphQLObjectType:
        return self.schema.get_root_type(self.operation.operation)

    def root_fields(self) -> dict[str, list[FieldDetails]]:
        """Return the root fields of the operation by response key."""
        return collect_fields(*self.context, self.root, self.operation).grouped_field_set

    def fields(self) -> list[Field]:
        """Return the root fields that the database resolves."""
        fields = {key: details for key, details in self.root_fields().items() if is_database_field(self.root, details)}
        return self.build_fields(self.root, fields, ())

    def build_fields(
        self, parent: GraphQLObjectType, grouped: Mapping[str, list[FieldDetails]], path: Path
    ) -> list[Field]:
        return [self.build_field(parent, key, details, path) for key, details in grouped.items()]

    def build_field(self, parent: GraphQLObjectType, key: str, details: list[FieldDetails], path: Path) -> Field:
        nodes, path = [detail.node for detail in details], (*path, key)
        name = nodes[0].name.value
        if name == "__typename":
            return Field(key, name, parent.name, path, nodes)
        definition = parent.fields[name]
        declared = definition.extensions["strawberry-definition"]
        if isinstance(declared, ComputedField):
            return Field(key, declared.python_name, parent.name, path, nodes, definition.type, columns=declared.needs)
        return Field(
            key,
            declared.python_name,
            parent.name,
            path,
            nodes,
            definition.type,
            {} if declared.operation else self.arguments(definition, nodes[0]),
            self.children(definition.type, details, (*path, 0) if is_many(definition.type) else path),
            declared.resolver,
            declared.operation,
            cache=declared.cache or cache_of(definition.type),
        )

    def arguments(self, definition: GraphQLField, node: FieldNode) -> dict[str, Any]:
        """Return the arguments by their Python names, without nulls, which stand for the default."""
        values = get_argument_values(definition, node, self.variables).items()
        arguments = {python_name(definition.args[name]): (value, definition.args[name].type) for name, value in values}
        return {name: to_python(*argument) for name, argument in arguments.items() if argument[0] is not None}

    def children(self, type_: Any, details: list[FieldDetails], path: Path) -> dict[str, list[Field]] | None:
        named = get_named_type(type_)
        if not is_composite_type(named):
            return None
        concrete = self.schema.get_possible_types(named) if is_abstract_type(named) else [named]
        return {type_.name: self.build_fields(type_, self.subfields(type_, details), path) for type_ in concrete}

    def subfields(self, type_: GraphQLObjectType, details: list[FieldDetails]) -> dict[str, list[FieldDetails]]:
        return collect_subfields(*self.context, self.operation, type_, details).grouped_field_set


def is_database_field(root: GraphQLObjectType, details: list[FieldDetails]) -> bool:
    """Return true if the database resolves a field; graphql-core executes introspection and plain Python fields."""
    name = details[0].node.name.value
    declared = root.fields[name].extensions.get("strawberry-definition") if name in root.fields else None
    return isinstance(declared, DatabaseField) or name == "__typename"


def cache_of(type_: Any) -> Cache | None:
    """Return the cache control that a type declares."""
    definition = get_named_type(type_).extensions.get("strawberry-definition")
    return getattr(getattr(definition, "origin", None), "cache", None)


def is_many(type_: Any) -> bool:
    return is_list_type(type_.of_type if is_non_null_type(type_) else type_)


def python_name(declared: Any) -> str:
    return declared.extensions["strawberry-definition"].python_name


def to_python(value: Any, type_: GraphQLInputType) -> Any:
    """Return an input object as its dataclass, and any other value unchanged."""
    if isinstance(value, list):
        return [to_python(inner, get_named_type(type_)) for inner in value]
    if not isinstance(value, dict):
        return value
    named = get_named_type(type_)
    shape = named.extensions["strawberry-definition"].origin.shape
    fields = named.fields
    return shape(**{python_name(fields[name]): to_python(inner, fields[name].type) for name, inner in value.items()})
