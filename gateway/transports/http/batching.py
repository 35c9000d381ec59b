"""Several requests in one body: an array, answered by an array. Switched off unless `GRAPHQL_MAX_BATCH` allows some."""

from collections.abc import Sequence
from typing import Any

from gateway.graphql.engine import Engine, GraphQLRequest, GraphQLResponse
from models.errors import PayloadTooLarge, ValidationError
from resolvers.context import RequestContext


def parse_batch(parameters: list[Any], most: int) -> list[dict[str, Any]]:
    """The requests of a batch, if it may be one."""
    if not most:
        raise ValidationError.for_fields(body="must be one request; batches are not answered")
    if len(parameters) > most:
        raise PayloadTooLarge(f"A batch has at most {most} requests")
    if not parameters or not all(isinstance(entry, dict) for entry in parameters):
        raise ValidationError.for_fields(body="must be an array of requests, each a JSON object")
    return parameters


async def execute_batch(
    engine: Engine, requests: Sequence[GraphQLRequest | GraphQLResponse], ctx: RequestContext
) -> GraphQLResponse:
    """One after the other, so that each sees what those before it wrote. Whatever comes of each, it is an answer."""
    answers = [it if isinstance(it, GraphQLResponse) else await engine.execute(it, ctx) for it in requests]
    body = b"[" + b",".join(answer.body for answer in answers) + b"]"
    return GraphQLResponse(body, kind="batch", errors=[code for answer in answers for code in answer.errors])
