"""Which GraphQL requests their senders may name, what is asked by them, and how their answers are kept."""

from collections.abc import Sequence
from typing import Any

import orjson

from gateway.graphql.documents.limits import fields_of
from gateway.graphql.engine import Answer, Engine, GraphQLRequest
from gateway.graphql.request import CostReport
from gateway.http.errors import OF_CODE
from gateway.http.idempotency import NAME, Form, Kept
from gateway.transports.login_attempts import LOGIN_FIELDS
from models.errors import ValidationError

Requests = Sequence[GraphQLRequest | Answer]
"""Those of one body; of one that was refused already, what it is answered."""


async def may_repeat(engine: Engine, requests: Requests) -> bool:
    """Whether a name counts: what is asked writes something. Tokens are for who has just shown a password, and are
    never kept, so that a name would not count for what is written beside them: that is refused.
    """
    fields = {name for asked in requests for name in await written(engine, asked)}
    beside = fields - set(LOGIN_FIELDS)
    if beside and beside != fields:
        raise ValidationError.of(**{NAME: "does not count where somebody signs in; send that by itself"})
    return bool(beside)


async def written(engine: Engine, asked: GraphQLRequest | Answer) -> set[str]:
    """The root fields by which a request would write."""
    if isinstance(asked, Answer) or asked.cost is CostReport.VALIDATE:
        return set()
    try:
        operation = await engine.operation(asked)
    except Exception:
        return set()  # `answer` says why it is refused
    if not operation.is_mutation:
        return set()
    names = {field.name.value for field in fields_of(operation.definition.selection_set, operation.fragments)}
    return {name for name in names if not name.startswith("__")}


def meant(asked: GraphQLRequest | Requests) -> bytes:
    """What is asked, however its document was named and its variables were ordered."""
    meanings = meaning(asked) if isinstance(asked, GraphQLRequest) else [meaning(each) for each in asked]
    try:
        return orjson.dumps(meanings, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as error:  # more than 254 levels, which no input of ours has
        raise ValidationError.of(variables="must not be nested so deeply") from error


def meaning(asked: GraphQLRequest | Answer) -> Any:
    if isinstance(asked, Answer):
        return None
    return asked.query, asked.operation_name, asked.variables or None


def kept(answer: Answer) -> Kept | None:
    """Its JSON alone: each request is told it in the form that it asks for."""
    if any(OF_CODE[code].status >= 500 for code in answer.errors):
        return None
    return Kept(200, {}, answer.body)


def again(known: Kept) -> Answer:
    return Answer(known.body)


FORM = Form(kept, again)
