"""What the engine does not compile (introspection, plain Python) is finished by graphql-core.

Its root value is what was read and done already, so nothing is read or done twice.
"""

from inspect import isawaitable
from typing import Any

import orjson
from graphql import ExecutionResult, execute

from gateway.graphql.documents.operation import Operation
from gateway.graphql.execution.result import Outcome
from resolvers.context import RequestContext


def described(operation: Operation) -> bytes:
    """The answer to an operation that asks about the schema alone."""
    data = execute(operation.schema, operation.document, {}, operation_name=operation.name).data
    return orjson.dumps({"data": data})


async def completed(
    operation: Operation, outcome: Outcome, variables: dict[str, Any] | None, ctx: RequestContext
) -> ExecutionResult:
    """The whole answer: fields that were read say what stands under their keys, and the others run."""
    result = execute(operation.schema, operation.document, outcome.source(), ctx, variables, operation.name)
    return await result if isawaitable(result) else result
