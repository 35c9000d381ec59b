"""Mutations: each field runs its operation once, then reads the selection of what the operation returned."""

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
from gateway.graphql.execution.result import (
    ExecutionResult,
    placeholder_result,
    serialize_field,
    serialize_leaf,
    to_mapping,
)
from gateway.graphql.planning.plan import Plan, request_values
from gateway.graphql.planning.planner import Planner
from resolvers.context import RequestContext
from resolvers.inputs import Input, validate


class Mutations:
    """Executes the fields of mutations one after the other."""

    def __init__(self, schema: GraphQLSchema, planner: Planner, reads: ReadDatabase) -> None:
        self.schema, self.planner, self.reads = schema, planner, reads

    async def execute(self, operation: Operation, variables: VariableValues, ctx: RequestContext) -> ExecutionResult:
        """Execute each field in turn, until a non-null field has an error."""
        fields, complete = self.planner.mutation_fields(operation, variables)
        result = ExecutionResult(complete)
        for field in fields:
            try:
                result.set_field(field, await self.execute_field(operation, field, variables, ctx))
            except Exception as error:
                result.set_error(field, error)
            if result.data_is_null:
                break
        return result

    async def execute_field(
        self, operation: Operation, field: Field, variables: VariableValues, ctx: RequestContext
    ) -> str:
        """Run the field's operation, then read the selection for the viewer, who is a new one after a login.

        Rejects an invalid selection before anything is written.
        """
        if field.operation is None:
            return serialize_leaf(field.parent)
        ctx.require_write_access()
        if getattr(field.operation, "signed_in_only", False):
            ctx.require_viewer()
        arguments = self.get_arguments(field, variables)
        await self.bind(operation, field, variables, ctx, placeholder_result(is_entity=self.planner.is_entity(field)))
        returned = to_mapping(await field.operation(ctx, **arguments))
        plan, parameters = await self.bind(operation, field, variables, ctx, returned)
        row = await self.reads.fetch_row(plan.sql, parameters) if plan.sql else ()
        return serialize_field(field, plan, returned, row)

    async def bind(
        self, operation: Operation, field: Field, variables: VariableValues, ctx: RequestContext, returned: Any
    ) -> tuple[Plan, list[Any]]:
        """Return the plan that reads what the operation returned, and its parameters. Raises the first error."""
        plan = await self.planner.result_plan(operation, field, variables, ctx.viewer)
        parameters, errors = plan.bind(request_values(variables, ctx.viewer, returned))
        for error in [*(root.error for root in plan.roots if root.error), *errors]:
            raise error.with_traceback(None)
        return plan, parameters

    def get_arguments(self, field: Field, variables: VariableValues) -> dict[str, Any]:
        """Return the operation's arguments, validated by its annotations; null means the default."""
        definition = self.schema.get_type(field.parent).fields[field.nodes[0].name.value]
        values = get_argument_values(definition, field.nodes[0], variables)
        model = arguments_model(field.operation)
        # Arguments that the operation does not have are the engine's own, such as `since`.
        names = {parameter.alias for parameter in model.model_fields.values()}
        given = {name: value for name, value in values.items() if value is not None and name in names}
        arguments = validate(model, given)
        return {name: getattr(arguments, name) for name in model.model_fields}


@cache
def arguments_model(operation: Callable[..., Any]) -> type[BaseModel]:
    """Return a model of an operation's parameters, which validates all of them together."""
    hints = get_type_hints(operation, include_extras=True)
    _, *parameters = inspect.signature(operation).parameters.values()
    fields = {each.name: (hints[each.name], ... if each.default is each.empty else each.default) for each in parameters}
    return create_model(operation.__qualname__, __base__=Input, **fields)
