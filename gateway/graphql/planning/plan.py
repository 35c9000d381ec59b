"""A plan: one statement that answers some fields, for variables of one shape and one kind of viewer."""

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
    """How one parameter is found among a request's values and made ready for the driver."""

    extract: Callable[[Values], Any]
    field: Field | None = None
    """The field that is refused if the value is."""
    fallback: Any = None
    """What the statement is given then."""
    is_viewer: bool = False
    """Whether it is who asks."""


@dataclass(frozen=True, slots=True)
class RootField:
    """One entry of the answer: a column of the statement, or why there is none."""

    field: Field
    column: int | None
    refused: GraphQLError | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """A total that a statement takes, unless it is given: where it stands in the answer, and how to take it alone."""

    column: int | None
    key: str | None
    """None where it stands nowhere, as of a list that was refused, or of which only the number of pages is asked."""
    plan: "Plan"


@dataclass(frozen=True, eq=False)
class Plan:
    """One statement, how to find its parameters among a request's values, and what its columns answer."""

    sql: str
    """Empty if there is nothing to ask."""
    parameters: list[Parameter]
    checks: list[Parameter]
    """What may be refused though the statement does not need it: the size of a page of which only a count is asked."""
    roots: list[RootField]
    complete: bool
    dependencies: Dependencies
    hint: CachePolicy
    counts: tuple[Count, ...] = ()

    @cached_property
    def is_personal(self) -> bool:
        """Whether the answer depends on who asks, and not just on their role."""
        return any(parameter.is_viewer for parameter in self.parameters)

    def bind(self, values: Values) -> tuple[list[Any], list[GraphQLError]]:
        """The parameters, and the fields that are refused for theirs."""
        try:
            for check in self.checks:
                check.extract(values)
            return [parameter.extract(values) for parameter in self.parameters], []
        except APIError:
            return self._bind_partially(values)

    def _bind_partially(self, values: Values) -> tuple[list[Any], list[GraphQLError]]:
        refused: dict[Any, GraphQLError] = {}
        bound = [_extract_or_fallback(parameter, values, refused) for parameter in [*self.checks, *self.parameters]]
        return bound[len(self.checks) :], list(refused.values())


def _extract_or_fallback(parameter: Parameter, values: Values, refused: dict[Any, GraphQLError]) -> Any:
    """A parameter's value, or what stands in for a refused one."""
    try:
        return parameter.extract(values)
    except APIError as refusal:
        refused.setdefault(parameter.field.path, field_error(refusal, parameter.field))
        return parameter.fallback


def request_values(variables: VariableValues, viewer: Viewer | None, result: Any = None) -> Values:
    return {"variables": variables.coerced, "viewer": viewer and viewer.id, "result": result}


def not_found_error(root: RootField) -> GraphQLError:
    """A row that must be there, and is not, or not for this viewer."""
    return field_error(NotFound.for_entity(root.field.named_type.name), root.field)
