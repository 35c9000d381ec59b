"""Compute the cost of an operation before it runs: one point for each object of the result, more for expensive work.

Fields that share a response key are counted once, because the result has them once. An abstract type costs as much as
its most expensive possible type. Costs of fields and assumed list lengths are declared in `schema/fields.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    FieldNode,
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

from gateway.graphql.documents.limits import Fragments, fields_of
from gateway.graphql.documents.selection import is_many
from resolvers.inputs import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE

SIZE_ARGUMENTS = "first", "last", "limit"
ASSUMED_LIST_SIZE = 10
"""Rows of a list that declares no length."""
OPERATION_COST = 10
"""Points of a mutation or subscription field that declares none."""
INTROSPECTION_COST = 10

SelectionSets = tuple[SelectionSetNode, ...]
"""All selection sets of one response key, which the result merges."""


@dataclass(frozen=True, slots=True)
class RowCount:
    """Number of rows of a page: the largest size that a literal or a variable gives, else the default."""

    default: int = DEFAULT_PAGE_SIZE
    literal: int | None = None
    variables: tuple[str, ...] = ()

    def evaluate(self, variables: Mapping[str, Any]) -> int:
        sizes = (self.literal, *[variables.get(name) for name in self.variables])
        size = max([size for size in sizes if size is not None], default=self.default)
        return min(max(size, 0), MAX_PAGE_SIZE)


ONE = RowCount(1)


@dataclass(frozen=True, slots=True)
class Cost:
    """The points of a field and of the selection below it, for each of its rows."""

    points: int
    rows: RowCount = ONE
    children: tuple[Cost | MaxCost | CostIfPresent, ...] = ()

    def evaluate(self, variables: Mapping[str, Any]) -> int:
        """Return the points for a request's coerced variables."""
        return self.rows.evaluate(variables) * (self.points + sum([cost.evaluate(variables) for cost in self.children]))

    @property
    def is_variable(self) -> bool:
        return bool(self.rows.variables) or bool(self.children)

    def fold(self) -> Cost:
        """Return an equal cost in which everything that is independent of variables is added up."""
        fixed = sum(cost.evaluate({}) for cost in self.children if not cost.is_variable)
        cost = Cost(self.points + fixed, self.rows, tuple(cost for cost in self.children if cost.is_variable))
        return cost if cost.is_variable else Cost(cost.evaluate({}))


@dataclass(frozen=True, slots=True)
class MaxCost:
    """The highest of several costs that depend on variables."""

    costs: tuple[Cost, ...]
    is_variable = True

    def evaluate(self, variables: Mapping[str, Any]) -> int:
        return max([cost.evaluate(variables) for cost in self.costs])


@dataclass(frozen=True, slots=True)
class CostIfPresent:
    """Points that apply if a variable, or a field of one, is not null."""

    points: int
    path: tuple[str, ...]
    is_variable = True

    def evaluate(self, variables: Mapping[str, Any]) -> int:
        value: Any = variables
        for name in self.path:
            value = None if value is None else value.get(name)
        return 0 if value is None else self.points


@dataclass(frozen=True, slots=True)
class ListContext:
    """The size of the list that encloses a field, and the cost of its filter for each field that scans its rows."""

    rows: RowCount = ONE
    filter_cost: tuple[Cost | CostIfPresent, ...] = ()


NO_LIST = ListContext()


def max_cost(costs: Iterable[Cost]) -> Cost | MaxCost:
    """Return the highest of several costs, which may depend on variables."""
    distinct = set(costs)
    fixed = Cost(max((cost.evaluate({}) for cost in distinct if not cost.is_variable), default=0))
    variable = tuple(cost for cost in distinct if cost.is_variable)
    return MaxCost((fixed, *variable)) if variable else fixed


def cost_of(schema: GraphQLSchema, operation: OperationDefinitionNode, fragments: Fragments) -> Cost:
    """Return the cost of an operation, which is at least one point."""
    root = schema.get_root_type(operation.operation)
    selection = CostVisitor(schema, fragments).cost_of_selection(root, (operation.selection_set,), NO_LIST)
    return Cost(1, ONE, (selection,)).fold()


@dataclass(frozen=True, slots=True)
class CostVisitor:
    """Adds up the costs of one document."""

    schema: GraphQLSchema
    fragments: Fragments
    cache: dict[Any, Cost] = field(default_factory=dict)
    """Costs by type and selection. Without it, recursive types with many possible types take exponential time."""

    def cost_of_selection(self, type_: GraphQLNamedType, selected: SelectionSets, context: ListContext) -> Any:
        """Return the cost of a selection; on an abstract type, that of its most expensive possible type."""
        if not is_abstract_type(type_):
            return self.cost_of_object(type_, selected, context)
        return max_cost(self.cost_of_object(each, selected, context) for each in self.schema.get_possible_types(type_))

    def cost_of_object(self, type_: GraphQLObjectType, selected: SelectionSets, context: ListContext) -> Cost:
        key = type_.name, tuple(map(id, selected)), context
        if key not in self.cache:
            fields = self.fields_by_key(type_, selected).values()
            self.cache[key] = Cost(0, ONE, tuple(self.cost_of_field(type_, nodes, context) for nodes in fields)).fold()
        return self.cache[key]

    def fields_by_key(self, type_: GraphQLObjectType, selected: SelectionSets) -> dict[str, list[FieldNode]]:
        fields: dict[str, list[FieldNode]] = {}
        for selections in selected:
            for node in fields_of(selections, self.fragments, lambda name: self.fragment_applies(name, type_)):
                fields.setdefault((node.alias or node.name).value, []).append(node)
        return fields

    def cost_of_field(self, parent: GraphQLObjectType, nodes: list[FieldNode], context: ListContext) -> Cost:
        """Return the cost of one response key. Validation ensures that all its nodes have the same arguments."""
        node = nodes[0]
        definition = parent.fields.get(node.name.value)
        if definition is None:
            return Cost(0 if node.name.value == "__typename" else INTROSPECTION_COST)
        filter_cost, inner = self.filter_cost(definition, node, context)
        selected = tuple(each.selection_set for each in nodes if each.selection_set)
        children = (self.cost_of_selection(get_named_type(definition.type), selected, inner),) if selected else ()
        cost = Cost(points_of(definition), rows_of(definition, node, context.rows), children).fold()
        return Cost(0, ONE, (cost, *filter_cost)).fold() if filter_cost else cost

    def filter_cost(
        self, definition: GraphQLField, node: FieldNode, context: ListContext
    ) -> tuple[tuple[Cost | CostIfPresent, ...], ListContext]:
        """Return the filter costs that a field adds once for all its rows, and the context of the fields below it."""
        scans_rows = metadata_of(definition).get("scans_rows")
        inherited = () if scans_rows else context.filter_cost
        own = tuple(filter_costs(definition, node))
        if own and not has_row_scans(get_named_type(definition.type)):
            return own, ListContext(page_size(definition, node), inherited)
        return context.filter_cost if scans_rows else (), ListContext(page_size(definition, node), inherited + own)

    def fragment_applies(self, condition: NamedTypeNode | None, type_: GraphQLObjectType) -> bool:
        """Return true if a fragment with this type condition selects fields of an object of this type."""
        if condition is None or condition.name.value == type_.name:
            return True
        named = self.schema.get_type(condition.name.value)
        return is_abstract_type(named) and self.schema.is_sub_type(named, type_)


def metadata_of(definition: GraphQLField | GraphQLInputField) -> Mapping[str, Any]:
    return definition.extensions["strawberry-definition"].metadata


def points_of(definition: GraphQLField) -> int:
    """Return a field's own cost: as declared, else one for an object and zero for a scalar."""
    points = metadata_of(definition).get("points")
    if points is not None:
        return points
    own = int(is_composite_type(get_named_type(definition.type)))
    return own + (OPERATION_COST if "operation" in metadata_of(definition) else 0)


def rows_of(definition: GraphQLField, node: FieldNode, page: RowCount) -> RowCount:
    """Return the number of rows of a list field; of any other field, one."""
    if not is_many(definition.type):
        return ONE
    if metadata_of(definition).get("is_page_rows"):
        return page
    assumed = metadata_of(definition).get("assumed_size") or ASSUMED_LIST_SIZE
    return page_size(definition, node) if "first" in definition.args else RowCount(assumed)


def page_size(definition: GraphQLField, node: FieldNode) -> RowCount:
    """Return the page size that a field's arguments ask for: of several the largest; a null counts as absent."""
    sizes = [argument.value for argument in node.arguments or () if argument.name.value in SIZE_ARGUMENTS]
    defaults = [definition.args[name].default_value for name in SIZE_ARGUMENTS if name in definition.args]
    default = max(
        (each if isinstance(each, int) else DEFAULT_PAGE_SIZE for each in defaults), default=DEFAULT_PAGE_SIZE
    )
    literal = max((int(size.value) for size in sizes if isinstance(size, IntValueNode)), default=None)
    return RowCount(default, literal, tuple(size.name.value for size in sizes if isinstance(size, VariableNode)))


def has_row_scans(type_: GraphQLNamedType) -> bool:
    """Return true for connections and pages: containers whose fields scan the rows of a list."""
    return any(metadata_of(field).get("scans_rows") for field in getattr(type_, "fields", {}).values())


def filter_costs(definition: GraphQLField, node: FieldNode) -> Iterator[Cost | CostIfPresent]:
    """Yield the costs that input fields declare for the filters which a field's arguments use."""
    for argument in node.arguments or ():
        points_by_name = costly_input_fields(get_named_type(definition.args[argument.name.value].type))
        match argument.value:
            case VariableNode(name=variable):
                yield from (CostIfPresent(points, (variable.value, name)) for name, points in points_by_name.items())
            case ObjectValueNode(fields=fields):
                for field in fields:
                    if points := points_by_name.get(field.name.value):
                        yield cost_if_present(field.value, points)


def costly_input_fields(type_: GraphQLNamedType) -> dict[str, int]:
    """Return the points of an input type's fields that declare some."""
    fields = type_.fields if is_input_object_type(type_) else {}
    return {name: points for name, field in fields.items() if (points := metadata_of(field).get("points"))}


def cost_if_present(value: ValueNode, points: int) -> Cost | CostIfPresent:
    if isinstance(value, VariableNode):
        return CostIfPresent(points, (value.name.value,))
    return Cost(0 if isinstance(value, NullValueNode) else points)
