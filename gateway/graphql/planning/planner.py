"""Makes plans and keeps them: resolvers run here, once per document, shape of variables and kind of viewer."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from typing import Any

from graphql import GraphQLSchema
from graphql.execution.values import VariableValues
from sqlalchemy import ColumnElement, Dialect

from gateway.graphql.cache.cache_control import combine_cache_control
from gateway.graphql.cache.dependencies import find_dependencies
from gateway.graphql.cache.lru import AsyncLRUCache, LRUCache
from gateway.graphql.documents.operation import Operation
from gateway.graphql.documents.selection import Field
from gateway.graphql.errors import field_error
from gateway.graphql.planning.compiler import Compiler
from gateway.graphql.planning.parameters import (
    VIEWER,
    RequestParameter,
    Values,
    generic_viewer,
    get_path,
    to_parameters,
    variables_shape,
)
from gateway.graphql.planning.plan import Count, Parameter, Plan, RootField
from models import Viewer
from models.base import Entity
from models.errors import APIError

MOST_PLANS, PLAN_BYTES = 4_000, 64 * 2**20

MOST_SELECTED, SELECTED_TOKENS = 1_000, 100_000

COUNT_FIELDS = "total", "total_count"

ColumnBuilder = tuple[Field, Callable[[], ColumnElement]]
"""A field, and what compiles its column or refuses to."""


class Planner:
    """Plans for one schema on one kind of database."""

    def __init__(self, schema: GraphQLSchema, dialect: Dialect, aside: Executor) -> None:
        self.names, self.dialect = names_of_entities(schema), dialect
        self.plans = AsyncLRUCache[Plan](aside, MOST_PLANS, PLAN_BYTES, lambda key, plan: len(plan.sql))
        self.selected: LRUCache[tuple[list[Field], bool]] = LRUCache(MOST_SELECTED, SELECTED_TOKENS, tokens)

    async def query_plan(self, operation: Operation, variables: VariableValues, viewer: Viewer | None) -> Plan:
        """One plan for all the root fields of a query."""
        key = operation, viewer and viewer.role, variables_shape(variables.coerced)
        make = partial(self._build_query_plan, operation, variables, viewer)
        return self.plans.get(key) or await self.plans.get_or_create(key, make)

    async def result_plan(
        self, operation: Operation, field: Field, variables: VariableValues, viewer: Viewer | None
    ) -> Plan:
        """A plan for what one field of a mutation returned."""
        shaping = {name: value for name, value in variables.coerced.items() if name in operation.shaping_variables}
        key = operation, viewer and viewer.role, variables_shape(shaping), field.key
        make = partial(self._build_result_plan, operation, field, variables, viewer)
        return self.plans.get(key) or await self.plans.get_or_create(key, make)

    def _build_query_plan(self, operation: Operation, variables: VariableValues, viewer: Viewer | None) -> Plan:
        fields, complete = self.fields(operation, variables)
        compiler = Compiler(generic_viewer(viewer), self.names, hinted=not complete)
        return self.plan(compiler, [(field, partial(compiler.column, field)) for field in fields], complete)

    def _build_result_plan(
        self, operation: Operation, field: Field, variables: VariableValues, viewer: Viewer | None
    ) -> Plan:
        """An entity that an operation named, or those that it named among plain values."""
        _, complete = self.fields(operation, variables)
        compiler = Compiler(generic_viewer(viewer), self.names, hinted=not complete)
        if field.fields is None:
            made: list[ColumnBuilder] = []
        elif self.is_entity(field):
            made = [(field, partial(compiler.compile_result, field))]
        else:
            entities = [below for below in field.children if below.fields is not None]
            made = [(below, partial(compiler.compile_result, below, below.name)) for below in entities]
        return self.plan(compiler, made, complete)

    def mutation_fields(self, operation: Operation, variables: VariableValues) -> tuple[list[Field], bool]:
        """The fields of a mutation, for they are done one by one; kept, as the values of variables are not in them."""
        key = operation, variables_shape(variables.coerced)
        fields = self.selected.get(key)
        if fields is None:
            self.selected.put(key, fields := self.fields(operation, variables))
        return fields

    def fields(self, operation: Operation, variables: VariableValues) -> tuple[list[Field], bool]:
        """The fields that the database answers, and whether that is all."""
        selector = operation.selector(parameterized(variables))
        fields = selector.fields()
        return fields, len(fields) == len(selector.root_fields()) and not any(field.is_computed for field in fields)

    def is_entity(self, field: Field) -> bool:
        return field.named_type.name in self.names.values()

    def plan(self, compiler: Compiler, made: Sequence[ColumnBuilder], complete: bool) -> Plan:
        """Each field by itself, so that refusing one leaves the others."""
        columns: list[ColumnElement] = []
        roots = []
        for field, make in made:
            try:
                columns.append(make())
                roots.append(RootField(field, len(columns) - 1))
            except APIError as refusal:
                roots.append(RootField(field, None, field_error(refusal, compiler.current_field)))
        fields = [field for field, _ in made]
        sql, parameters, checks, tables = self.compile(compiler, columns)
        plan = Plan(
            sql, parameters, checks, roots, complete, find_dependencies(tables, fields), combine_cache_control(fields)
        )
        return replace(plan, counts=tuple(self.counts(compiler, roots)))

    def counts(self, compiler: Compiler, roots: Sequence[RootField]) -> Iterator[Count]:
        """The totals that the statement takes, each as a plan of its own."""
        columns = {root.field.key: root.column for root in roots if root.column is not None}
        for list in compiler.counted_lists:
            keys = [below.key for below in list.field.children if below.name in COUNT_FIELDS]
            column = columns.get(list.field.key)
            sql, parameters, _, tables = self.compile(compiler, [list.count()])
            plan = Plan(
                sql, parameters, [], [], True, find_dependencies(tables, [list.field]), combine_cache_control([])
            )
            yield Count(column, keys[0] if keys else None, plan)

    def compile(
        self, compiler: Compiler, columns: list[ColumnElement]
    ) -> tuple[str, list[Parameter], list[Parameter], frozenset[str]]:
        """The statement, its parameters in order, what else is to be checked, and the tables that are read."""
        compiled = compiler.statement(columns).compile(dialect=self.dialect)
        bound = [compiled.binds[name] for name in compiled.positiontup]
        unbound = [given for given in compiler.checked if given not in set(bound)]
        parameters, checks = ([to_parameter(bind, self.dialect) for bind in some] for some in (bound, unbound))
        tables = frozenset(table.name for table, times in compiled.tables.items() if times)
        return compiled.string if columns else "", parameters, checks, tables


def tokens(key: tuple[Operation, Any], fields: Any) -> int:
    return key[0].token_count


def parameterized(variables: VariableValues) -> VariableValues:
    return VariableValues(variables.sources, to_parameters(variables.coerced, ("variables",)))


def to_parameter(bind: Any, dialect: Dialect) -> Parameter:
    process = bind.type.dialect_impl(dialect).bind_processor(dialect) or (lambda value: value)
    if not isinstance(bind, RequestParameter):
        constant = process(bind.effective_value)
        return Parameter(lambda values: constant)
    path, read = bind.path, bind.read or (lambda value: value)

    def take(values: Values) -> Any:
        return process(read(get_path(values, path)))

    return Parameter(take, bind.field, bind.fallback, path == VIEWER)


def names_of_entities(schema: GraphQLSchema) -> dict[type[Entity], str]:
    """The GraphQL name of every entity that the schema shows."""
    definitions = {name: type_.extensions.get("strawberry-definition") for name, type_ in schema.type_map.items()}
    found = {name: getattr(getattr(each, "origin", None), "entity", None) for name, each in definitions.items()}
    return {entity: name for name, entity in found.items() if entity}
