"""A plan: one statement for some fields, for variables of one shape and viewers of one role."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from graphql import GraphQLError
from graphql.execution.values import VariableValues

from gateway.graphql.cache.cache_control import CachePolicy
from gateway.graphql.cache.dependencies import Dependencies
from gateway.graphql.documents.selection import Field
from gateway.graphql.errors import field_error
from gateway.graphql.planning.parameters import Values
from models import Viewer
from models.errors import APIError, NotFound


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of the statement: how to take it from a request's values and convert it for the driver."""

    extract: Callable[[Values], Any]
    field: Field | None = None
    """The field that gets the error if the value is invalid."""
    fallback: Any = None
    """The value that the statement gets then."""
    is_viewer: bool = False
    """True for the viewer's id."""


@dataclass(frozen=True, slots=True)
class RootField:
    """One entry of the result: a column of the statement, or an error."""

    field: Field
    column: int | None
    error: GraphQLError | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """A count that a statement takes unless it is cached: its place in the result, and a plan that takes it alone."""

    column: int | None
    key: str | None
    """None if the result does not have it: the list has an error, or only its number of pages is selected."""
    plan: "Plan"


@dataclass(frozen=True, eq=False)
class Plan:
    """One statement, its parameters, and the fields that its columns are the results of."""

    sql: str
    """Empty if there is nothing to read."""
    parameters: list[Parameter]
    checks: list[Parameter]
    """Parameters to validate that are not in the statement, such as a page size if only the count is selected."""
    roots: list[RootField]
    complete: bool
    """False if graphql-core has to execute further fields."""
    dependencies: Dependencies
    cache_policy: CachePolicy
    counts: tuple[Count, ...] = ()

    @cached_property
    def is_personal(self) -> bool:
        """True if the result depends on the viewer, and not only on their role."""
        return any(parameter.is_viewer for parameter in self.parameters)

    def bind(self, values: Values) -> tuple[list[Any], list[GraphQLError]]:
        """Return the parameters, and an error for each field whose parameters are invalid."""
        try:
            for check in self.checks:
                check.extract(values)
            return [parameter.extract(values) for parameter in self.parameters], []
        except APIError:
            return self._bind_partially(values)

    def _bind_partially(self, values: Values) -> tuple[list[Any], list[GraphQLError]]:
        errors: dict[Any, GraphQLError] = {}
        bound = []
        for parameter in [*self.checks, *self.parameters]:
            try:
                bound.append(parameter.extract(values))
            except APIError as error:
                errors.setdefault(parameter.field.path, field_error(error, parameter.field))
                bound.append(parameter.fallback)
        return bound[len(self.checks) :], list(errors.values())


def request_values(variables: VariableValues, viewer: Viewer | None, result: Any = None) -> Values:
    return {"variables": variables.coerced, "viewer": viewer and viewer.id, "result": result}


def not_found_error(root: RootField) -> GraphQLError:
    """Return the error for a required row that does not exist or that the viewer may not see."""
    return field_error(NotFound.for_entity(root.field.named_type.name), root.field)
