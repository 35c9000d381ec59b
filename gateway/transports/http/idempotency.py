"""`Idempotency-Key` in GraphQL: the requests that may have one, their fingerprints and their stored responses."""

from collections.abc import Sequence
from typing import Any

import orjson

from gateway.graphql.documents.limits import fields_of
from gateway.graphql.engine import Engine, GraphQLRequest, GraphQLResponse
from gateway.graphql.request import CostReport
from gateway.http.errors import ERRORS_BY_CODE
from gateway.http.idempotency import NAME, ResponseCodec, StoredResponse
from gateway.transports.login_attempts import LOGIN_FIELDS
from models.errors import ValidationError

Batch = Sequence[GraphQLRequest | GraphQLResponse]
"""The requests of one body. One that was rejected already is represented by its response."""


async def accepts_idempotency_key(engine: Engine, requests: Batch) -> bool:
    """Return whether the requests write anything for which an `Idempotency-Key` counts.

    A login returns tokens, which are never stored, so a key does not count for it. Other mutations beside a login are
    rejected: they would run again.
    """
    fields = {name for request in requests for name in await mutation_fields(engine, request)}
    others = fields - set(LOGIN_FIELDS)
    if others and others != fields:
        raise ValidationError.for_fields(**{NAME: "is not supported together with a login; send the login separately"})
    return bool(others)


async def mutation_fields(engine: Engine, request: GraphQLRequest | GraphQLResponse) -> set[str]:
    """Return the root fields of a mutation that will be executed."""
    if isinstance(request, GraphQLResponse) or request.cost is CostReport.VALIDATE:
        return set()
    try:
        operation = await engine.get_operation(request)
    except Exception:
        return set()  # the engine rejects the document when it executes it
    if not operation.is_mutation:
        return set()
    names = {field.name.value for field in fields_of(operation.definition.selection_set, operation.fragments)}
    return {name for name in names if not name.startswith("__")}


def serialize_body(body: GraphQLRequest | Batch) -> bytes:
    """Return what the body asks for, independent of how it refers to documents and orders variables."""
    value = to_json(body) if isinstance(body, GraphQLRequest) else [to_json(request) for request in body]
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as error:  # more than 254 levels, which no input type has
        raise ValidationError.for_fields(variables="must not be nested so deeply") from error


def to_json(request: GraphQLRequest | GraphQLResponse) -> Any:
    if isinstance(request, GraphQLResponse):
        return None
    return request.query, request.operation_name, request.variables or None


def encode_response(response: GraphQLResponse) -> StoredResponse | None:
    """Return the JSON to store: each repetition negotiates its own media type. None for a server error."""
    if any(ERRORS_BY_CODE[code].status >= 500 for code in response.errors):
        return None
    return StoredResponse(200, {}, response.body)


def decode_response(stored: StoredResponse) -> GraphQLResponse:
    return GraphQLResponse(stored.body)


CODEC = ResponseCodec(encode_response, decode_response)
