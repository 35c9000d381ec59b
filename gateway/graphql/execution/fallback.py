"""Execution by graphql-core of what the engine does not compile: introspection, and fields in plain Python.

Its root value contains what was read and written already, so nothing is executed twice.
"""

from inspect import isawaitable
from typing import Any

import graphql
import orjson

from gateway.graphql.documents.operation import Operation
from gateway.graphql.execution.result import ExecutionResult
from resolvers.context import RequestContext


def execute_introspection(operation: Operation) -> bytes:
    """Return the response body of an operation that only introspects the schema."""
    data = graphql.execute(operation.schema, operation.document, {}, operation_name=operation.name).data
    return orjson.dumps({"data": data})


async def execute_remaining(
    operation: Operation, result: ExecutionResult, variables: dict[str, Any] | None, ctx: RequestContext
) -> graphql.ExecutionResult:
    """Execute the whole operation, with the fields of `result` as resolved values."""
    completed = graphql.execute(
        operation.schema, operation.document, result.to_root_value(), ctx, variables, operation.name
    )
    return await completed if isawaitable(completed) else completed
