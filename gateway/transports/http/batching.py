"""Batches: an array of requests in one body, with an array as the response. Enabled by `GRAPHQL_MAX_BATCH`."""

from collections.abc import Sequence
from typing import Any

from gateway.graphql.engine import Engine, GraphQLRequest, GraphQLResponse
from models.errors import PayloadTooLarge, ValidationError
from resolvers.context import RequestContext


def parse_batch(parameters: list[Any], max_batch: int) -> list[dict[str, Any]]:
    """Return the parameters of each request in a batch."""
    if not max_batch:
        raise ValidationError.for_fields(body="must be one request; batches are disabled")
    if len(parameters) > max_batch:
        raise PayloadTooLarge(f"A batch has at most {max_batch} requests")
    if not parameters or not all(isinstance(entry, dict) for entry in parameters):
        raise ValidationError.for_fields(body="must be an array of requests, each a JSON object")
    return parameters


async def execute_batch(
    engine: Engine, requests: Sequence[GraphQLRequest | GraphQLResponse], ctx: RequestContext
) -> GraphQLResponse:
    """Execute the requests one after the other, so that each sees what the earlier ones wrote.

    A request that was rejected already is represented by its response.
    """
    responses = [each if isinstance(each, GraphQLResponse) else await engine.execute(each, ctx) for each in requests]
    body = b"[" + b",".join(response.body for response in responses) + b"]"
    return GraphQLResponse(body, kind="batch", errors=[code for response in responses for code in response.errors])
