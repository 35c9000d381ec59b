"""What an operation costs, known before it runs: a point for each object that may be answered, more for what is dear.

A field that is written twice under one key is counted once, as it is answered once. What may be of
several types is of one of them in the end, and counts as the dearest. What fields cost, and how long lists are assumed
to be, is declared where the fields are (`schema/reading.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLInputField,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    IntValueNode,
    NamedTypeNode,
    NullValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
    is_abstract_type,
    is_composite_type,
    is_input_object_type,
)

from gateway.graphql.documents.selection import is_many

SLICING = "first", "last", "limit"
USUAL, MOST = 20, 100
"""Rows of a page that is not told its size, and of any page."""
ASSUMED = 10
"""Rows of a list that says nothing of itself."""
ACTION = 10
"""What doing something costs, unless it says."""
INTROSPECTION = 10

Fragments = Mapping[str, FragmentDefinitionNode]
Selections = tuple[SelectionSetNode, ...]
"""All that is selected of one thing: what stands under one key in several places is answered as one."""


@dataclass(frozen=True, slots=True)
class Rows:
    """How many rows a page has: as many as it is asked for, by numbers or by variables, or as it has unasked."""

    unasked: int = USUAL
    asked: int | None = None
    variables: tuple[str, ...] = ()

    def of(self, variables: Mapping[str, Any]) -> int:
        told = [variables.get(name) for name in self.variables]
        asked = max([number for number in (self.asked, *told) if number is not None], default=self.unasked)
        return min(max(asked, 0), MOST)


ONE = Rows(1)


@dataclass(frozen=True, slots=True)
class Cost:
    """A field's own points and those of what is below it, for each of its rows."""

    points: int
    rows: Rows = ONE
    below: tuple[Cost | Dearest | IfGiven, ...] = ()

    def of(self, variables: Mapping[str, Any]) -> int:
        """The points, for a request's coerced variables."""
        return self.rows.of(variables) * (self.points + sum([cost.of(variables) for cost in self.below]))

    @property
    def varies(self) -> bool:
        return bool(self.rows.variables) or bool(self.below)

    def settled(self) -> Cost:
        """The same with what no variable changes added up."""
        fixed = sum(cost.of({}) for cost in self.below if not cost.varies)
        cost = Cost(self.points + fixed, self.rows, tuple(cost for cost in self.below if cost.varies))
        return cost if cost.varies else Cost(cost.of({}))


@dataclass(frozen=True, slots=True)
class Dearest:
    """What costs as much as the dearest of several, of which variables say which that is."""

    among: tuple[Cost, ...]
    varies = True

    def of(self, variables: Mapping[str, Any]) -> int:
        return max([cost.of(variables) for cost in self.among])


@dataclass(frozen=True, slots=True)
class IfGiven:
    """What costs something where a variable, or a field of one, is not null."""

    points: int
    path: tuple[str, ...]
    varies = True

    def of(self, variables: Mapping[str, Any]) -> int:
        value: Any = variables
        for name in self.path:
            value = None if value is None else value.get(name)
        return 0 if value is None else self.points


@dataclass(frozen=True, slots=True)
class Page:
    """What fields are told of the list whose page they are on: its length, and what each look at its rows costs."""

    rows: Rows = ONE
    looking: tuple[Cost | IfGiven, ...] = ()


NO_PAGE = Page()


def dearest(costs: Iterable[Cost]) -> Cost | Dearest:
    """One of several, but nobody knows yet which."""
    among = set(costs)
    fixed = Cost(max((cost.of({}) for cost in among if not cost.varies), default=0))
    varying = tuple(cost for cost in among if cost.varies)
    return Dearest((fixed, *varying)) if varying else fixed


def cost_of(schema: GraphQLSchema, operation: OperationDefinitionNode, fragments: Fragments) -> Cost:
    """What an operation costs; at least a point."""
    root = schema.get_root_type(operation.operation)
    below = Costing(schema, fragments).below(root, (operation.selection_set,), NO_PAGE)
    return Cost(1, ONE, (below,)).settled()


@dataclass(frozen=True, slots=True)
class Costing:
    """Adds up one document."""

    schema: GraphQLSchema
    fragments: Fragments
    known: dict[Any, Cost] = field(default_factory=dict)
    """What has been reckoned: where types have fields of each other's types, the ways through them have no end."""

    def below(self, type_: GraphQLNamedType, selected: Selections, page: Page) -> Cost | Dearest:
        """What is selected of a thing; of one that may be of several types, the dearest."""
        if not is_abstract_type(type_):
            return self.object(type_, selected, page)
        return dearest(self.object(each, selected, page) for each in self.schema.get_possible_types(type_))

    def object(self, type_: GraphQLObjectType, selected: Selections, page: Page) -> Cost:
        """What is selected of an object of this very type."""
        key = type_.name, tuple(map(id, selected)), page
        if key not in self.known:
            asked = self.asked(type_, selected).values()
            self.known[key] = Cost(0, ONE, tuple(self.entry(type_, nodes, page) for nodes in asked)).settled()
        return self.known[key]

    def asked(self, type_: GraphQLObjectType, selected: Selections) -> dict[str, list[FieldNode]]:
        """The fields by their keys."""
        asked: dict[str, list[FieldNode]] = {}
        for selections in selected:
            for node in self.fields(type_, selections):
                asked.setdefault((node.alias or node.name).value, []).append(node)
        return asked

    def entry(self, parent: GraphQLObjectType, nodes: list[FieldNode], page: Page) -> Cost:
        """What one key costs: of one type, all that stands under it is the same field with the same arguments."""
        node = nodes[0]
        definition = parent.fields.get(node.name.value)
        if definition is None:
            return Cost(0 if node.name.value == "__typename" else INTROSPECTION)
        paid, page_below = self.looking(definition, node, page)
        selected = tuple(each.selection_set for each in nodes if each.selection_set)
        below = (self.below(get_named_type(definition.type), selected, page_below),) if selected else ()
        cost = Cost(points_of(definition), rows_of(definition, node, page.rows), below).settled()
        return Cost(0, ONE, (cost, *paid)).settled() if paid else cost

    def looking(self, definition: GraphQLField, node: FieldNode, page: Page) -> tuple[tuple[Cost | IfGiven, ...], Page]:
        """What a field pays for looking at rows, once for all of them, and the page that the fields below are on."""
        looks = declared(definition).get("looks")
        left = () if looks else page.looking
        asked = tuple(dear_filters(definition, node))
        if asked and not is_page(get_named_type(definition.type)):
            return asked, Page(page_of(definition, node), left)
        return page.looking if looks else (), Page(page_of(definition, node), left + asked)

    def fields(self, type_: GraphQLObjectType, selections: SelectionSetNode) -> Iterator[FieldNode]:
        """The fields of a selection and of those of its fragments that are for such an object."""
        waiting, spread = list(reversed(selections.selections)), set()
        while waiting:
            node: Any = waiting.pop()
            if isinstance(node, FieldNode):
                yield node
                continue
            if isinstance(node, FragmentSpreadNode):
                if node.name.value in spread:
                    continue
                spread.add(node.name.value)
                node = self.fragments[node.name.value]
            if self.applies(node.type_condition, type_):
                waiting.extend(reversed(node.selection_set.selections))

    def applies(self, condition: NamedTypeNode | None, type_: GraphQLObjectType) -> bool:
        """Whether a fragment says something of an object of this type."""
        if condition is None or condition.name.value == type_.name:
            return True
        named = self.schema.get_type(condition.name.value)
        return is_abstract_type(named) and self.schema.is_sub_type(named, type_)


def declared(definition: GraphQLField | GraphQLInputField) -> Mapping[str, Any]:
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
    """The size of the page that a field is asked for. What is null is not asked for; of several sizes the largest."""
    sizes = [argument.value for argument in node.arguments or () if argument.name.value in SLICING]
    unasked = max((default_of(definition, name) for name in SLICING if name in definition.args), default=USUAL)
    asked = max((int(size.value) for size in sizes if isinstance(size, IntValueNode)), default=None)
    return Rows(unasked, asked, tuple(size.name.value for size in sizes if isinstance(size, VariableNode)))


def is_page(type_: GraphQLNamedType) -> bool:
    """Whether it is no row, but has fields that look at rows."""
    return any(declared(field).get("looks") for field in getattr(type_, "fields", {}).values())


def dear_filters(definition: GraphQLField, node: FieldNode) -> Iterator[Cost | IfGiven]:
    """What it costs to look for rows by what the arguments say: declared where the fields of inputs are."""
    for argument in node.arguments or ():
        dear = dear_fields(get_named_type(definition.args[argument.name.value].type))
        match argument.value:
            case VariableNode(name=variable):
                yield from (IfGiven(points, (variable.value, name)) for name, points in dear.items())
            case ObjectValueNode(fields=given):
                told = [(field.value, dear[field.name.value]) for field in given if field.name.value in dear]
                yield from (if_given(value, points) for value, points in told)


def dear_fields(type_: GraphQLNamedType) -> dict[str, int]:
    """The fields of an input that cost something, with their points."""
    fields = type_.fields if is_input_object_type(type_) else {}
    return {name: points for name, field in fields.items() if (points := declared(field).get("points"))}


def if_given(value: ValueNode, points: int) -> Cost | IfGiven:
    if isinstance(value, VariableNode):
        return IfGiven(points, (value.name.value,))
    return Cost(0 if isinstance(value, NullValueNode) else points)


def default_of(definition: GraphQLField, name: str) -> int:
    default = definition.args[name].default_value
    return default if isinstance(default, int) else USUAL
