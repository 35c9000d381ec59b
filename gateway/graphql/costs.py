"""What an operation costs, known before it runs: a point for each object that may be answered, more for what is dear.

A field that is written twice under one key is counted once, as it is answered once. What fields cost, and how long
lists are assumed to be, is declared where the fields are (`schema/reading.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLNamedType,
    GraphQLSchema,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    is_composite_type,
)

from gateway.graphql.selection import is_many

SLICING = "first", "last", "limit"
USUAL, MOST = 20, 100
"""Rows of a page that is not told its size, and of any page."""
ASSUMED = 10
"""Rows of a list that says nothing of itself."""
ACTION = 10
"""What doing something costs, unless it says."""
INTROSPECTION = 10

Fragments = Mapping[str, FragmentDefinitionNode]
Asked = list[tuple[GraphQLNamedType, FieldNode]]
"""The fields under one key, each with the type that it is asked of."""


@dataclass(frozen=True, slots=True)
class Rows:
    """How many rows a page is asked for: a number, or what a variable says."""

    number: int = USUAL
    variable: str | None = None

    def of(self, variables: Mapping[str, Any]) -> int:
        told = self.number if self.variable is None else variables.get(self.variable)
        return min(max(self.number if told is None else told, 0), MOST)


ONE = Rows(1)


@dataclass(frozen=True, slots=True)
class Cost:
    """A field's own points and those of what is below it, for each of its rows."""

    points: int
    rows: Rows = ONE
    below: tuple[Cost, ...] = ()

    def of(self, variables: Mapping[str, Any]) -> int:
        """The points, for a request's coerced variables."""
        return self.rows.of(variables) * (self.points + sum([cost.of(variables) for cost in self.below]))

    @property
    def varies(self) -> bool:
        return self.rows.variable is not None or bool(self.below)

    def settled(self) -> Cost:
        """The same with what no variable changes added up."""
        fixed = sum(cost.of({}) for cost in self.below if not cost.varies)
        cost = Cost(self.points + fixed, self.rows, tuple(cost for cost in self.below if cost.varies))
        return cost if cost.varies else Cost(cost.of({}))


def cost_of(schema: GraphQLSchema, operation: OperationDefinitionNode, fragments: Fragments) -> Cost:
    """What an operation costs; at least a point."""
    root = schema.get_root_type(operation.operation)
    return Costing(schema, fragments).total(root, operation.selection_set)


@dataclass(frozen=True, slots=True)
class Costing:
    """Adds up one document."""

    schema: GraphQLSchema
    fragments: Fragments

    def total(self, root: GraphQLNamedType, selections: SelectionSetNode) -> Cost:
        return Cost(1, ONE, tuple(self.entries([(root, selections)], ONE))).settled()

    def entries(self, within: list[tuple[GraphQLNamedType, SelectionSetNode]], page: Rows) -> Iterator[Cost]:
        """The costs of what is selected, on a page of so many rows."""
        grouped: dict[str, Asked] = {}
        for type_, selections in within:
            for parent, node in self.fields(type_, selections):
                grouped.setdefault((node.alias or node.name).value, []).append((parent, node))
        for asked in grouped.values():
            yield self.entry(asked, page)

    def entry(self, asked: Asked, page: Rows) -> Cost:
        parent, node = asked[0]
        definition = parent.fields.get(node.name.value) if hasattr(parent, "fields") else None
        if definition is None:
            return Cost(0 if node.name.value == "__typename" else INTROSPECTION)
        named = get_named_type(definition.type)
        inner = [(named, each.selection_set) for _, each in asked if each.selection_set]
        below = tuple(self.entries(inner, page_of(definition, node)))
        return Cost(points_of(definition), rows_of(definition, node, page), below).settled()

    def fields(
        self, type_: GraphQLNamedType, selections: SelectionSetNode
    ) -> Iterator[tuple[GraphQLNamedType, FieldNode]]:
        """The fields of a selection and of its fragments, each with the type that it is asked of."""
        waiting, spread = [(type_, selection) for selection in reversed(selections.selections)], set()
        while waiting:
            parent, selection = waiting.pop()
            if isinstance(selection, FieldNode):
                yield parent, selection
                continue
            if isinstance(selection, FragmentSpreadNode):
                if selection.name.value in spread:
                    continue
                spread.add(selection.name.value)
                selection = self.fragments[selection.name.value]
            condition = selection.type_condition
            inner = self.schema.get_type(condition.name.value) if condition else parent
            waiting.extend((inner, below) for below in reversed(selection.selection_set.selections))


def declared(definition: GraphQLField) -> Mapping[str, Any]:
    return definition.extensions["strawberry-definition"].metadata


def points_of(definition: GraphQLField) -> int:
    """What a field costs by itself: as it is declared, else a point for an object and none for a value."""
    points = declared(definition).get("points")
    if points is not None:
        return points
    own = int(is_composite_type(get_named_type(definition.type)))
    return own + (ACTION if "operation" in declared(definition) else 0)


def rows_of(definition: GraphQLField, node: FieldNode, page: Rows) -> Rows:
    """How often a field is answered: the rows of a list, once else."""
    if not is_many(definition.type):
        return ONE
    if declared(definition).get("rows_of_page"):
        return page
    assumed = declared(definition).get("assumed") or ASSUMED
    return page_of(definition, node) if "first" in definition.args else Rows(assumed)


def page_of(definition: GraphQLField, node: FieldNode) -> Rows:
    """The size of the page that a field is asked for."""
    for argument in node.arguments or ():
        name, value = argument.name.value, argument.value
        if name in SLICING and isinstance(value, IntValueNode):
            return Rows(int(value.value))
        if name in SLICING and isinstance(value, VariableNode):
            return Rows(default_of(definition, name), value.name.value)
    return Rows(max((default_of(definition, name) for name in SLICING if name in definition.args), default=USUAL))


def default_of(definition: GraphQLField, name: str) -> int:
    default = definition.args[name].default_value
    return default if isinstance(default, int) else USUAL
