"""What the engine does not compile (introspection, plain Python) is finished by graphql-core.

Its root value is what was read and done already, so nothing is read or done twice.
"""

from inspect import isawaitable
from typing import Any

import graphql
import orjson

from gateway.graphql.documents.operation import Operation
from gateway.graphql.execution.result import ExecutionResult
from resolvers.context import RequestContext


def execute_introspection(operation: Operation) -> bytes:
    """The answer to an operation that asks about the schema alone."""
    data = graphql.execute(operation.schema, operation.document, {}, operation_name=operation.name).data
    return orjson.dumps({"data": data})


async def execute_remaining(
    operation: Operation, outcome: ExecutionResult, variables: dict[str, Any] | None, ctx: RequestContext
) -> graphql.ExecutionResult:
    """The whole answer: fields that were read say what stands under their keys, and the others run."""
    result = graphql.execute(
        operation.schema, operation.document, outcome.to_root_value(), ctx, variables, operation.name
    )
    return await result if isawaitable(result) else result
