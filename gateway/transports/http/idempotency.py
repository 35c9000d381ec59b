"""Which GraphQL requests their senders may name, what is asked by them, and how their answers are kept."""

from collections.abc import Sequence
from typing import Any

import orjson

from gateway.graphql.documents.limits import fields_of
from gateway.graphql.engine import Engine, GraphQLRequest, GraphQLResponse
from gateway.graphql.request import CostReport
from gateway.http.errors import OF_CODE
from gateway.http.idempotency import NAME, ResponseCodec, StoredResponse
from gateway.transports.login_attempts import LOGIN_FIELDS
from models.errors import ValidationError

Requests = Sequence[GraphQLRequest | GraphQLResponse]
"""Those of one body; of one that was refused already, what it is answered."""


async def accepts_idempotency_key(engine: Engine, requests: Requests) -> bool:
    """Whether a name counts: what is asked writes something. Tokens are for who has just shown a password, and are
    never kept, so that a name would not count for what is written beside them: that is refused.
    """
    fields = {name for asked in requests for name in await mutation_fields(engine, asked)}
    beside = fields - set(LOGIN_FIELDS)
    if beside and beside != fields:
        raise ValidationError.for_fields(**{NAME: "does not count where somebody signs in; send that by itself"})
    return bool(beside)


async def mutation_fields(engine: Engine, asked: GraphQLRequest | GraphQLResponse) -> set[str]:
    """The root fields by which a request would write."""
    if isinstance(asked, GraphQLResponse) or asked.cost is CostReport.VALIDATE:
        return set()
    try:
        operation = await engine.get_operation(asked)
    except Exception:
        return set()  # `answer` says why it is refused
    if not operation.is_mutation:
        return set()
    names = {field.name.value for field in fields_of(operation.definition.selection_set, operation.fragments)}
    return {name for name in names if not name.startswith("__")}


def fingerprint_body(asked: GraphQLRequest | Requests) -> bytes:
    """What is asked, however its document was named and its variables were ordered."""
    meanings = normalized(asked) if isinstance(asked, GraphQLRequest) else [normalized(each) for each in asked]
    try:
        return orjson.dumps(meanings, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as error:  # more than 254 levels, which no input of ours has
        raise ValidationError.for_fields(variables="must not be nested so deeply") from error


def normalized(asked: GraphQLRequest | GraphQLResponse) -> Any:
    if isinstance(asked, GraphQLResponse):
        return None
    return asked.query, asked.operation_name, asked.variables or None


def encode_response(answer: GraphQLResponse) -> StoredResponse | None:
    """Its JSON alone: each request is told it in the form that it asks for."""
    if any(OF_CODE[code].status >= 500 for code in answer.errors):
        return None
    return StoredResponse(200, {}, answer.body)


def decode_response(known: StoredResponse) -> GraphQLResponse:
    return GraphQLResponse(known.body)


FORM = ResponseCodec(encode_response, decode_response)
