"""Makes plans and keeps them: resolvers run here, once per document, shape of variables and kind of viewer."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from typing import Any

from graphql import GraphQLSchema
from graphql.execution.values import VariableValues
from sqlalchemy import ColumnElement, Dialect

from gateway.graphql.cache.cache_control import hint_of
from gateway.graphql.cache.dependencies import dependencies
from gateway.graphql.cache.lru import Bounded, Kept
from gateway.graphql.documents.operation import Operation
from gateway.graphql.documents.selection import Field
from gateway.graphql.errors import located
from gateway.graphql.planning.compiler import Compiler
from gateway.graphql.planning.parameters import VIEWER, Given, Values, any_viewer_like, found, shape, stand_in
from gateway.graphql.planning.plan import Count, Parameter, Plan, Root
from models import Viewer
from models.base import Entity
from models.errors import Refusal

MOST_PLANS, PLAN_BYTES = 4_000, 64 * 2**20

MOST_SELECTED, SELECTED_TOKENS = 1_000, 100_000

TOTALS = "total", "total_count"

Making = tuple[Field, Callable[[], ColumnElement]]
"""A field, and what compiles its column or refuses to."""


class Planner:
    """Plans for one schema on one kind of database."""

    def __init__(self, schema: GraphQLSchema, dialect: Dialect, aside: Executor) -> None:
        self.names, self.dialect = names_of_entities(schema), dialect
        self.plans = Kept[Plan](aside, MOST_PLANS, PLAN_BYTES, lambda key, plan: len(plan.sql))
        self.selected: Bounded[tuple[list[Field], bool]] = Bounded(MOST_SELECTED, SELECTED_TOKENS, tokens)

    async def query(self, operation: Operation, variables: VariableValues, viewer: Viewer | None) -> Plan:
        """One plan for all the root fields of a query."""
        key = operation, viewer and viewer.role, shape(variables.coerced)
        make = partial(self.for_query, operation, variables, viewer)
        return self.plans.get(key) or await self.plans.made(key, make)

    async def step(self, operation: Operation, field: Field, variables: VariableValues, viewer: Viewer | None) -> Plan:
        """A plan for what one field of a mutation returned."""
        shaping = {name: value for name, value in variables.coerced.items() if name in operation.shaping}
        key = operation, viewer and viewer.role, shape(shaping), field.key
        make = partial(self.for_step, operation, field, variables, viewer)
        return self.plans.get(key) or await self.plans.made(key, make)

    def for_query(self, operation: Operation, variables: VariableValues, viewer: Viewer | None) -> Plan:
        fields, complete = self.fields(operation, variables)
        compiler = Compiler(any_viewer_like(viewer), self.names, hinted=not complete)
        return self.plan(compiler, [(field, partial(compiler.column, field)) for field in fields], complete)

    def for_step(self, operation: Operation, field: Field, variables: VariableValues, viewer: Viewer | None) -> Plan:
        """An entity that an operation named, or those that it named among plain values."""
        _, complete = self.fields(operation, variables)
        compiler = Compiler(any_viewer_like(viewer), self.names, hinted=not complete)
        if field.fields is None:
            made: list[Making] = []
        elif self.is_entity(field):
            made = [(field, partial(compiler.result, field))]
        else:
            entities = [below for below in field.below if below.fields is not None]
            made = [(below, partial(compiler.result, below, below.name)) for below in entities]
        return self.plan(compiler, made, complete)

    def steps(self, operation: Operation, variables: VariableValues) -> tuple[list[Field], bool]:
        """The fields of a mutation, for they are done one by one; kept, as the values of variables are not in them."""
        key = operation, shape(variables.coerced)
        fields = self.selected.get(key)
        if fields is None:
            self.selected.keep(key, fields := self.fields(operation, variables))
        return fields

    def fields(self, operation: Operation, variables: VariableValues) -> tuple[list[Field], bool]:
        """The fields that the database answers, and whether that is all."""
        selector = operation.selector(with_stand_ins(variables))
        fields = selector.fields()
        return fields, len(fields) == len(selector.grouped()) and not any(field.is_computed for field in fields)

    def is_entity(self, field: Field) -> bool:
        return field.named.name in self.names.values()

    def plan(self, compiler: Compiler, made: Sequence[Making], complete: bool) -> Plan:
        """Each field by itself, so that refusing one leaves the others."""
        columns: list[ColumnElement] = []
        roots = []
        for field, make in made:
            try:
                columns.append(make())
                roots.append(Root(field, len(columns) - 1))
            except Refusal as refusal:
                roots.append(Root(field, None, located(refusal, compiler.at)))
        fields = [field for field, _ in made]
        sql, parameters, checks, tables = self.compiled(compiler, columns)
        plan = Plan(sql, parameters, checks, roots, complete, dependencies(tables, fields), hint_of(fields))
        return replace(plan, counts=tuple(self.counts(compiler, roots)))

    def counts(self, compiler: Compiler, roots: Sequence[Root]) -> Iterator[Count]:
        """The totals that the statement takes, each as a plan of its own."""
        columns = {root.field.key: root.column for root in roots if root.column is not None}
        for list in compiler.counted:
            keys = [below.key for below in list.field.below if below.name in TOTALS]
            column = columns.get(list.field.key)
            sql, parameters, _, tables = self.compiled(compiler, [list.count()])
            plan = Plan(sql, parameters, [], [], True, dependencies(tables, [list.field]), hint_of([]))
            yield Count(column, keys[0] if keys else None, plan)

    def compiled(
        self, compiler: Compiler, columns: list[ColumnElement]
    ) -> tuple[str, list[Parameter], list[Parameter], frozenset[str]]:
        """The statement, its parameters in order, what else is to be checked, and the tables that are read."""
        compiled = compiler.statement(columns).compile(dialect=self.dialect)
        bound = [compiled.binds[name] for name in compiled.positiontup]
        unbound = [given for given in compiler.checked if given not in set(bound)]
        parameters, checks = ([parameter(bind, self.dialect) for bind in some] for some in (bound, unbound))
        tables = frozenset(table.name for table, times in compiled.tables.items() if times)
        return compiled.string if columns else "", parameters, checks, tables


def tokens(key: tuple[Operation, Any], fields: Any) -> int:
    return key[0].tokens


def with_stand_ins(variables: VariableValues) -> VariableValues:
    return VariableValues(variables.sources, stand_in(variables.coerced, ("variables",)))


def parameter(bind: Any, dialect: Dialect) -> Parameter:
    process = bind.type.dialect_impl(dialect).bind_processor(dialect) or (lambda value: value)
    if not isinstance(bind, Given):
        constant = process(bind.effective_value)
        return Parameter(lambda values: constant)
    path, read = bind.path, bind.read or (lambda value: value)

    def take(values: Values) -> Any:
        return process(read(found(values, path)))

    return Parameter(take, bind.field, bind.instead, path == VIEWER)


def names_of_entities(schema: GraphQLSchema) -> dict[type[Entity], str]:
    """The GraphQL name of every entity that the schema shows."""
    definitions = {name: type_.extensions.get("strawberry-definition") for name, type_ in schema.type_map.items()}
    found = {name: getattr(getattr(each, "origin", None), "entity", None) for name, each in definitions.items()}
    return {entity: name for name, entity in found.items() if entity}
