"""Plans: one statement for an operation, variables of one shape and one kind of viewer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from graphql import GraphQLError
from graphql.execution.values import VariableValues
from sqlalchemy import ColumnElement, Dialect

from gateway.graphql.compiler import Compiler
from gateway.graphql.documents import Operation
from gateway.graphql.errors import located
from gateway.graphql.given import Given, any_viewer_like, stand_in
from gateway.graphql.selection import Field
from models import Viewer
from models.base import Entity
from models.errors import NotFound, Refusal

Values = dict[str, Any]
"""The request's coerced variables, the viewer's id, and what an operation returned."""

Compiled = tuple[str, list["Parameter"], list["Parameter"]]

Making = Callable[[], ColumnElement]
"""Compiles one column, or refuses to."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """How one parameter is found among a request's values and made ready for the driver."""

    take: Callable[[Values], Any]
    field: Field | None = None
    """The field that is refused if the value is."""
    instead: Any = None


@dataclass(frozen=True, slots=True)
class Root:
    """One entry of the answer: a column of the statement, or why there is none."""

    field: Field
    column: int | None
    refused: GraphQLError | None = None


@dataclass(frozen=True, eq=False)
class Plan:
    """One statement that answers some fields, and how to find its parameters among a request's values."""

    sql: str
    parameters: list[Parameter]
    checks: list[Parameter]
    """What may be refused though the statement does not need it: the size of a page of which only a count is asked."""
    roots: list[Root]
    complete: bool
    """False where graphql-core has to finish the answer: introspection, fields in plain Python."""

    def bind(self, values: Values) -> tuple[list[Any], list[GraphQLError]]:
        """The parameters, and the fields that are refused for theirs."""
        try:
            for check in self.checks:
                check.take(values)
            return [parameter.take(values) for parameter in self.parameters], []
        except Refusal:
            return self.bind_what_is_sound(values)

    def bind_what_is_sound(self, values: Values) -> tuple[list[Any], list[GraphQLError]]:
        refused: dict[Any, GraphQLError] = {}
        bound = [taken(parameter, values, refused) for parameter in [*self.checks, *self.parameters]]
        return bound[len(self.checks) :], list(refused.values())


def taken(parameter: Parameter, values: Values, refused: dict[Any, GraphQLError]) -> Any:
    """A parameter's value, or what stands in for a refused one."""
    try:
        return parameter.take(values)
    except Refusal as refusal:
        refused.setdefault(parameter.field.path, located(refusal, parameter.field))
        return parameter.instead


class Planner:
    """Makes plans for one schema on one kind of database."""

    def __init__(self, names: dict[type[Entity], str], dialect: Dialect) -> None:
        self.names, self.dialect = names, dialect

    def query(self, operation: Operation, variables: VariableValues, viewer: Viewer | None) -> Plan:
        """One plan for all the root fields of a query."""
        selector = operation.selector(with_stand_ins(variables))
        fields = selector.fields()
        complete = len(fields) == len(selector.grouped()) and not any(field.is_computed for field in fields)
        compiler = Compiler(any_viewer_like(viewer), self.names, hinted=not complete)
        return self.plan(compiler, [(field, lambda field=field: compiler.column(field)) for field in fields], complete)

    def step(self, field: Field, viewer: Viewer | None, *, complete: bool) -> Plan:
        """A plan for what an operation returned: an entity, or those that it names among plain values."""
        compiler = Compiler(any_viewer_like(viewer), self.names, hinted=not complete)
        if field.fields is None:
            return self.plan(compiler, [], complete)
        if field.named.name in self.names.values():
            return self.plan(compiler, [(field, lambda: compiler.result(field))], complete)
        entities = [below for below in field.below if below.fields is not None]
        made = [(below, lambda below=below: compiler.result(below, below.name)) for below in entities]
        return self.plan(compiler, made, complete)

    def plan(
        self, compiler: Compiler, made: Sequence[tuple[Field, Callable[[], ColumnElement]]], complete: bool
    ) -> Plan:
        """Each field by itself, so that refusing one leaves the others."""
        columns: list[ColumnElement] = []
        roots = []
        for field, make in made:
            try:
                column = make()
            except Refusal as refusal:
                roots.append(Root(field, None, located(refusal, compiler.at)))
            else:
                roots.append(Root(field, len(columns)))
                columns.append(column)
        return Plan(*self.compiled(compiler, columns), roots, complete)

    def compiled(
        self, compiler: Compiler, columns: list[ColumnElement]
    ) -> tuple[str, list[Parameter], list[Parameter]]:
        compiled = compiler.statement(columns).compile(dialect=self.dialect)
        binds = [compiled.binds[name] for name in compiled.positiontup]
        checks = [given for given in compiler.checked if given not in set(binds)]
        sql = compiled.string if columns else ""
        return (
            sql,
            [parameter(bind, self.dialect) for bind in binds],
            [parameter(given, self.dialect) for given in checks],
        )


def with_stand_ins(variables: VariableValues) -> VariableValues:
    return VariableValues(variables.sources, stand_in(variables.coerced, ("variables",)))


def parameter(bind: Any, dialect: Dialect) -> Parameter:
    process = bind.type.dialect_impl(dialect).bind_processor(dialect) or (lambda value: value)
    if not isinstance(bind, Given):
        constant = process(bind.effective_value)
        return Parameter(lambda values: constant)
    path, read = bind.path, bind.read or (lambda value: value)
    return Parameter(lambda values: process(read(found(values, path))), bind.field, bind.instead)


def found(values: Values, path: Sequence[str | int]) -> Any:
    return reduce(lambda inner, step: inner[step], path, values)


def missing(root: Root) -> GraphQLError:
    """A row that must be there, and is not, or not for this viewer."""
    return located(NotFound.named(root.field.named.name), root.field)
