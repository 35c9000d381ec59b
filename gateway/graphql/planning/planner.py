"""Build and cache plans. Resolvers run here, once for each document, shape of variables and role of the viewer."""

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

MAX_PLANS, MAX_PLAN_CHARACTERS = 4_000, 64 * 2**20

MAX_SELECTIONS, MAX_SELECTION_TOKENS = 1_000, 100_000

COUNT_FIELDS = "total", "total_count"

ColumnBuilder = tuple[Field, Callable[[], ColumnElement]]
"""A field, and the function that compiles its column or raises `APIError`."""


class Planner:
    """Builds the plans for one schema and one SQL dialect."""

    def __init__(self, schema: GraphQLSchema, dialect: Dialect, executor: Executor) -> None:
        self.names, self.dialect = names_of_entities(schema), dialect
        self.plans = AsyncLRUCache[Plan](executor, MAX_PLANS, MAX_PLAN_CHARACTERS, lambda key, plan: len(plan.sql))
        self.selections: LRUCache[tuple[list[Field], bool]] = LRUCache(
            MAX_SELECTIONS, MAX_SELECTION_TOKENS, lambda key, fields: key[0].token_count
        )

    async def query_plan(self, operation: Operation, variables: VariableValues, viewer: Viewer | None) -> Plan:
        """Return the plan for all root fields of a query."""
        key = operation, viewer and viewer.role, variables_shape(variables.coerced)
        build = partial(self._build_query_plan, operation, variables, viewer)
        return self.plans.get(key) or await self.plans.get_or_create(key, build)

    async def result_plan(
        self, operation: Operation, field: Field, variables: VariableValues, viewer: Viewer | None
    ) -> Plan:
        """Return the plan that reads the result of one field of a mutation."""
        shaping = {name: value for name, value in variables.coerced.items() if name in operation.shaping_variables}
        key = operation, viewer and viewer.role, variables_shape(shaping), field.key
        build = partial(self._build_result_plan, operation, field, variables, viewer)
        return self.plans.get(key) or await self.plans.get_or_create(key, build)

    def _build_query_plan(self, operation: Operation, variables: VariableValues, viewer: Viewer | None) -> Plan:
        fields, complete = self.fields(operation, variables)
        compiler = Compiler(generic_viewer(viewer), self.names, with_typenames=not complete)
        return self.build_plan(compiler, [(field, partial(compiler.column, field)) for field in fields], complete)

    def _build_result_plan(
        self, operation: Operation, field: Field, variables: VariableValues, viewer: Viewer | None
    ) -> Plan:
        """Build the plan for the entity whose id a mutation returned, or for the entities in its payload."""
        _, complete = self.fields(operation, variables)
        compiler = Compiler(generic_viewer(viewer), self.names, with_typenames=not complete)
        if field.fields is None:
            builders: list[ColumnBuilder] = []
        elif self.is_entity(field):
            builders = [(field, partial(compiler.compile_result, field))]
        else:
            entities = [child for child in field.children if child.fields is not None]
            builders = [(child, partial(compiler.compile_result, child, child.name)) for child in entities]
        return self.build_plan(compiler, builders, complete)

    def mutation_fields(self, operation: Operation, variables: VariableValues) -> tuple[list[Field], bool]:
        """Return the fields of a mutation, from the cache. They have parameters instead of the values of variables."""
        key = operation, variables_shape(variables.coerced)
        fields = self.selections.get(key)
        if fields is None:
            self.selections.put(key, fields := self.fields(operation, variables))
        return fields

    def fields(self, operation: Operation, variables: VariableValues) -> tuple[list[Field], bool]:
        """Return the root fields that the database resolves, and true if these are complete."""
        collector = operation.field_collector(parameterize(variables))
        fields = collector.fields()
        return fields, len(fields) == len(collector.root_fields()) and not any(field.is_computed for field in fields)

    def is_entity(self, field: Field) -> bool:
        return field.named_type.name in self.names.values()

    def build_plan(self, compiler: Compiler, builders: Sequence[ColumnBuilder], complete: bool) -> Plan:
        """Compile each field separately, so that an error in one leaves the others."""
        columns: list[ColumnElement] = []
        roots = []
        for field, build in builders:
            try:
                columns.append(build())
                roots.append(RootField(field, len(columns) - 1))
            except APIError as error:
                roots.append(RootField(field, None, field_error(error, compiler.current_field)))
        fields = [field for field, _ in builders]
        sql, parameters, checks, tables = self.compile(compiler, columns)
        plan = Plan(
            sql, parameters, checks, roots, complete, find_dependencies(tables, fields), combine_cache_control(fields)
        )
        return replace(plan, counts=tuple(self.counts(compiler, roots)))

    def counts(self, compiler: Compiler, roots: Sequence[RootField]) -> Iterator[Count]:
        """Yield the counts that the statement takes, each with a plan of its own."""
        columns = {root.field.key: root.column for root in roots if root.column is not None}
        for counted in compiler.parameters.counted_lists:
            field = counted.field
            keys = [child.key for child in field.children if child.name in COUNT_FIELDS]
            column = columns.get(field.key)
            sql, parameters, _, tables = self.compile(compiler, [counted.count()])
            plan = Plan(sql, parameters, [], [], True, find_dependencies(tables, [field]), combine_cache_control([]))
            yield Count(column, keys[0] if keys else None, plan)

    def compile(
        self, compiler: Compiler, columns: list[ColumnElement]
    ) -> tuple[str, list[Parameter], list[Parameter], frozenset[str]]:
        """Return the SQL, its parameters in order, further parameters to validate, and the tables that it reads."""
        compiled = compiler.statement(columns).compile(dialect=self.dialect)
        bound = [compiled.binds[name] for name in compiled.positiontup]
        unbound = [parameter for parameter in compiler.parameters.parsed if parameter not in set(bound)]
        parameters, checks = ([to_parameter(bind, self.dialect) for bind in some] for some in (bound, unbound))
        tables = frozenset(table.name for table, times in compiled.tables.items() if times)
        return compiled.string if columns else "", parameters, checks, tables


def parameterize(variables: VariableValues) -> VariableValues:
    return VariableValues(variables.sources, to_parameters(variables.coerced, ("variables",)))


def to_parameter(bind: Any, dialect: Dialect) -> Parameter:
    process = bind.type.dialect_impl(dialect).bind_processor(dialect) or (lambda value: value)
    if not isinstance(bind, RequestParameter):
        constant = process(bind.effective_value)
        return Parameter(lambda values: constant)
    path, parse = bind.path, bind.parse or (lambda value: value)

    def extract(values: Values) -> Any:
        return process(parse(get_path(values, path)))

    return Parameter(extract, bind.field, bind.fallback, path == VIEWER)


def names_of_entities(schema: GraphQLSchema) -> dict[type[Entity], str]:
    """Return the GraphQL type name of each entity in the schema."""
    definitions = {name: type_.extensions.get("strawberry-definition") for name, type_ in schema.type_map.items()}
    entities = {name: getattr(getattr(each, "origin", None), "entity", None) for name, each in definitions.items()}
    return {entity: name for name, entity in entities.items() if entity}
