"""Mutations: each field does something once, then reads what that returned."""

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any, get_type_hints

from graphql import GraphQLSchema
from graphql.execution.values import VariableValues, get_argument_values
from pydantic import BaseModel, create_model

from gateway.graphql.database import ReadDatabase
from gateway.graphql.documents.operation import Operation
from gateway.graphql.documents.selection import Field
from gateway.graphql.execution.result import ExecutionResult
from gateway.graphql.execution.serialization import placeholder_result, serialize_field, serialize_leaf, to_mapping
from gateway.graphql.planning.plan import Plan, request_values
from gateway.graphql.planning.planner import Planner
from resolvers.context import RequestContext
from resolvers.inputs import Input, validate


class Mutations:
    """Runs the fields of mutations in turn."""

    def __init__(self, schema: GraphQLSchema, planner: Planner, reads: ReadDatabase) -> None:
        self.schema, self.planner, self.reads = schema, planner, reads

    async def execute(self, operation: Operation, variables: VariableValues, ctx: RequestContext) -> ExecutionResult:
        """Each field in turn, until one is refused that must not be null."""
        fields, complete = self.planner.mutation_fields(operation, variables)
        outcome = ExecutionResult(complete)
        for field in fields:
            try:
                outcome.set_field(field, await self.execute_field(operation, field, variables, ctx))
            except Exception as error:
                outcome.set_error(field, error)
            if outcome.data_is_null:
                break
        return outcome

    async def execute_field(
        self, operation: Operation, field: Field, variables: VariableValues, ctx: RequestContext
    ) -> str:
        """Run the field's operation, then read what it returned, as whoever is the viewer by then.

        A selection that would be refused is refused before anything is written.
        """
        if field.operation is None:
            return serialize_leaf(field.parent)
        ctx.require_write_access()
        if getattr(field.operation, "signed_in_only", False):
            ctx.require_viewer()
        arguments = self.arguments(field, variables)
        await self.bind(operation, field, variables, ctx, placeholder_result(is_entity=self.planner.is_entity(field)))
        result = to_mapping(await field.operation(ctx, **arguments))
        plan, parameters = await self.bind(operation, field, variables, ctx, result)
        return serialize_field(
            field, plan, result, await self.reads.fetch_row(plan.sql, parameters) if plan.sql else ()
        )

    async def bind(
        self, operation: Operation, field: Field, variables: VariableValues, ctx: RequestContext, result: Any
    ) -> tuple[Plan, list[Any]]:
        plan = await self.planner.result_plan(operation, field, variables, ctx.viewer)
        parameters, refused = plan.bind(request_values(variables, ctx.viewer, result))
        for error in [*(root.refused for root in plan.roots if root.refused), *refused]:
            raise error.with_traceback(None)
        return plan, parameters

    def arguments(self, field: Field, variables: VariableValues) -> dict[str, Any]:
        """What the operation is given: validated by its own annotations; null means the default."""
        definition = self.schema.get_type(field.parent).fields[field.nodes[0].name.value]
        given = get_argument_values(definition, field.nodes[0], variables)
        shape = arguments_model(field.operation)
        known = {each.alias for each in shape.model_fields.values()}  # others are the engine's own, such as `since`
        told = {name: value for name, value in given.items() if value is not None and name in known}
        checked = validate(shape, told)
        return {name: getattr(checked, name) for name in shape.model_fields}


@cache
def arguments_model(operation: Callable[..., Any]) -> type[BaseModel]:
    """An operation's parameters as one shape, so that all of them are checked and refused alike."""
    hints = get_type_hints(operation, include_extras=True)
    _, *given = inspect.signature(operation).parameters.values()
    entries = {each.name: (hints[each.name], ... if each.default is each.empty else each.default) for each in given}
    return create_model(operation.__qualname__, __base__=Input, **entries)
