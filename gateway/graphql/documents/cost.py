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
class RowCount:
    """How many rows a page has: as many as it is asked for, by numbers or by variables, or as it has unasked."""

    default_size: int = USUAL
    fields_by_key: int | None = None
    variables: tuple[str, ...] = ()

    def of(self, variables: Mapping[str, Any]) -> int:
        told = [variables.get(name) for name in self.variables]
        asked = max([number for number in (self.fields_by_key, *told) if number is not None], default=self.default_size)
        return min(max(asked, 0), MOST)


ONE = RowCount(1)


@dataclass(frozen=True, slots=True)
class Cost:
    """A field's own points and those of what is below it, for each of its rows."""

    points: int
    rows: RowCount = ONE
    cost_of_selection: tuple[Cost | MaxCost | CostIfPresent, ...] = ()

    def of(self, variables: Mapping[str, Any]) -> int:
        """The points, for a request's coerced variables."""
        return self.rows.of(variables) * (self.points + sum([cost.of(variables) for cost in self.cost_of_selection]))

    @property
    def varies(self) -> bool:
        return bool(self.rows.variables) or bool(self.cost_of_selection)

    def folded(self) -> Cost:
        """The same with what no variable changes added up."""
        fixed = sum(cost.of({}) for cost in self.cost_of_selection if not cost.varies)
        cost = Cost(self.points + fixed, self.rows, tuple(cost for cost in self.cost_of_selection if cost.varies))
        return cost if cost.varies else Cost(cost.of({}))


@dataclass(frozen=True, slots=True)
class MaxCost:
    """What costs as much as the dearest of several, of which variables say which that is."""

    among: tuple[Cost, ...]
    varies = True

    def of(self, variables: Mapping[str, Any]) -> int:
        return max([cost.of(variables) for cost in self.among])


@dataclass(frozen=True, slots=True)
class CostIfPresent:
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

    rows: RowCount = ONE
    filter_cost: tuple[Cost | CostIfPresent, ...] = ()


NO_PAGE = Page()


def dearest(costs: Iterable[Cost]) -> Cost | MaxCost:
    """One of several, but nobody knows yet which."""
    among = set(costs)
    fixed = Cost(max((cost.of({}) for cost in among if not cost.varies), default=0))
    varying = tuple(cost for cost in among if cost.varies)
    return MaxCost((fixed, *varying)) if varying else fixed


def cost_of(schema: GraphQLSchema, operation: OperationDefinitionNode, fragments: Fragments) -> Cost:
    """What an operation costs; at least a point."""
    root = schema.get_root_type(operation.operation)
    below = CostVisitor(schema, fragments).cost_of_selection(root, (operation.selection_set,), NO_PAGE)
    return Cost(1, ONE, (below,)).folded()


@dataclass(frozen=True, slots=True)
class CostVisitor:
    """Adds up one document."""

    schema: GraphQLSchema
    fragments: Fragments
    known: dict[Any, Cost] = field(default_factory=dict)
    """What has been reckoned: where types have fields of each other's types, the ways through them have no end."""

    def cost_of_selection(self, type_: GraphQLNamedType, selected: Selections, page: Page) -> Cost | MaxCost:
        """What is selected of a thing; of one that may be of several types, the dearest."""
        if not is_abstract_type(type_):
            return self.object(type_, selected, page)
        return dearest(self.object(each, selected, page) for each in self.schema.get_possible_types(type_))

    def object(self, type_: GraphQLObjectType, selected: Selections, page: Page) -> Cost:
        """What is selected of an object of this very type."""
        key = type_.name, tuple(map(id, selected)), page
        if key not in self.known:
            asked = self.fields_by_key(type_, selected).values()
            self.known[key] = Cost(0, ONE, tuple(self.cost_of_field(type_, nodes, page) for nodes in asked)).folded()
        return self.known[key]

    def fields_by_key(self, type_: GraphQLObjectType, selected: Selections) -> dict[str, list[FieldNode]]:
        """The fields by their keys."""
        asked: dict[str, list[FieldNode]] = {}
        for selections in selected:
            for node in self.fields(type_, selections):
                asked.setdefault((node.alias or node.name).value, []).append(node)
        return asked

    def cost_of_field(self, parent: GraphQLObjectType, nodes: list[FieldNode], page: Page) -> Cost:
        """What one key costs: of one type, all that stands under it is the same field with the same arguments."""
        node = nodes[0]
        definition = parent.fields.get(node.name.value)
        if definition is None:
            return Cost(0 if node.name.value == "__typename" else INTROSPECTION)
        paid, page_below = self.filter_cost(definition, node, page)
        selected = tuple(each.selection_set for each in nodes if each.selection_set)
        below = (self.cost_of_selection(get_named_type(definition.type), selected, page_below),) if selected else ()
        cost = Cost(points_of(definition), rows_of(definition, node, page.rows), below).folded()
        return Cost(0, ONE, (cost, *paid)).folded() if paid else cost

    def filter_cost(
        self, definition: GraphQLField, node: FieldNode, page: Page
    ) -> tuple[tuple[Cost | CostIfPresent, ...], Page]:
        """What a field pays for looking at rows, once for all of them, and the page that the fields below are on."""
        looks = metadata_of(definition).get("looks")
        left = () if looks else page.filter_cost
        asked = tuple(filter_costs(definition, node))
        if asked and not is_page(get_named_type(definition.type)):
            return asked, Page(page_of(definition, node), left)
        return page.filter_cost if looks else (), Page(page_of(definition, node), left + asked)

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
            if self.fragment_applies(node.type_condition, type_):
                waiting.extend(reversed(node.selection_set.selections))

    def fragment_applies(self, condition: NamedTypeNode | None, type_: GraphQLObjectType) -> bool:
        """Whether a fragment says something of an object of this type."""
        if condition is None or condition.name.value == type_.name:
            return True
        named = self.schema.get_type(condition.name.value)
        return is_abstract_type(named) and self.schema.is_sub_type(named, type_)


def metadata_of(definition: GraphQLField | GraphQLInputField) -> Mapping[str, Any]:
    return definition.extensions["strawberry-definition"].metadata


def points_of(definition: GraphQLField) -> int:
    """What a field costs by itself: as it is declared, else a point for an object and none for a value."""
    points = metadata_of(definition).get("points")
    if points is not None:
        return points
    own = int(is_composite_type(get_named_type(definition.type)))
    return own + (ACTION if "operation" in metadata_of(definition) else 0)


def rows_of(definition: GraphQLField, node: FieldNode, page: RowCount) -> RowCount:
    """How often a field is answered: the rows of a list, once else."""
    if not is_many(definition.type):
        return ONE
    if metadata_of(definition).get("rows_of_page"):
        return page
    assumed = metadata_of(definition).get("assumed") or ASSUMED
    return page_of(definition, node) if "first" in definition.args else RowCount(assumed)


def page_of(definition: GraphQLField, node: FieldNode) -> RowCount:
    """The size of the page that a field is asked for. What is null is not asked for; of several sizes the largest."""
    sizes = [argument.value for argument in node.arguments or () if argument.name.value in SLICING]
    unasked = max((default_of(definition, name) for name in SLICING if name in definition.args), default=USUAL)
    asked = max((int(size.value) for size in sizes if isinstance(size, IntValueNode)), default=None)
    return RowCount(unasked, asked, tuple(size.name.value for size in sizes if isinstance(size, VariableNode)))


def is_page(type_: GraphQLNamedType) -> bool:
    """Whether it is no row, but has fields that look at rows."""
    return any(metadata_of(field).get("looks") for field in getattr(type_, "fields", {}).values())


def filter_costs(definition: GraphQLField, node: FieldNode) -> Iterator[Cost | CostIfPresent]:
    """What it costs to look for rows by what the arguments say: declared where the fields of inputs are."""
    for argument in node.arguments or ():
        dear = costly_input_fields(get_named_type(definition.args[argument.name.value].type))
        match argument.value:
            case VariableNode(name=variable):
                yield from (CostIfPresent(points, (variable.value, name)) for name, points in dear.items())
            case ObjectValueNode(fields=given):
                told = [(field.value, dear[field.name.value]) for field in given if field.name.value in dear]
                yield from (cost_if_present(value, points) for value, points in told)


def costly_input_fields(type_: GraphQLNamedType) -> dict[str, int]:
    """The fields of an input that cost something, with their points."""
    fields = type_.fields if is_input_object_type(type_) else {}
    return {name: points for name, field in fields.items() if (points := metadata_of(field).get("points"))}


def cost_if_present(value: ValueNode, points: int) -> Cost | CostIfPresent:
    if isinstance(value, VariableNode):
        return CostIfPresent(points, (value.name.value,))
    return Cost(0 if isinstance(value, NullValueNode) else points)


def default_of(definition: GraphQLField, name: str) -> int:
    default = definition.args[name].default_value
    return default if isinstance(default, int) else USUAL
