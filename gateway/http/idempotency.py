"""`Idempotency-Key`: a write that is sent again, as its answer did not arrive, is answered again and not done again."""

import asyncio
import hashlib
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, NamedTuple, TypeVar

from starlette.requests import Request

from gateway.http.request_state import RequestState, get_request_state
from models import utcnow
from models.errors import Conflict, Unavailable, ValidationError
from resolvers import idempotency
from resolvers.context import RequestContext
from resolvers.idempotency import NO_STORED_RESPONSE, Claim, IdempotentDatabase

HEADER = b"idempotency-key"
REPLAYED = "Idempotency-Replayed"
NAME = "Idempotency-Key"
KEY = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\]){1,255})"(?: *;[ -~]*)?|([!#-~]{1,255})')
"""The draft's string of RFC 8941, whose parameters say nothing; or one word as it is, as Stripe's clients send it."""
ESCAPED = re.compile(r"\\(.)")
WORDS = "must be 1 to 255 visible characters of ASCII, or a string of them and spaces between quotation marks"

PATIENCE = timedelta(seconds=3)
"""How long after a request took effect its answer is waited for."""
PAUSE = 0.05
MOST_KEPT = 64 * 1024
"""Bytes of an answer that are kept; whoever sends a write again whose answer has more is told what it changed."""

Answer = TypeVar("Answer")
logger = logging.getLogger("gateway")


class StoredResponse(NamedTuple):
    """What is kept of an answer."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class ResponseCodec(Generic[Answer]):
    """How a protocol keeps its answers, and gives them again."""

    encode: Callable[[Answer], StoredResponse | None]
    """None of one that says to try again: whoever does must not be told the same for a day."""
    decode: Callable[[StoredResponse], Answer]


async def run_idempotent(
    request: Request,
    ctx: RequestContext,
    asked: bytes,
    answer: Callable[[], Awaitable[Answer]],
    form: ResponseCodec[Answer],
) -> Answer:
    """Answer a write; if its sender named it and it was answered before, in the same words as then."""
    claim = parse_claim(request, ctx, asked)
    if claim is None:
        return await answer()
    db = ctx.db
    if await idempotency.find(db, claim):
        return form.decode(await wait_for_stored_response(request, ctx, claim))
    ctx.db = IdempotentDatabase(db, claim)
    try:
        given = await answer()
    except Conflict:
        if not claim.is_conflict:
            raise
    finally:
        ctx.db = db
    if claim.is_conflict:
        return form.decode(await wait_for_stored_response(request, ctx, claim))
    if claim.is_claimed and (kept := form.encode(given)) and len(kept.body) <= MOST_KEPT:
        await store_response(ctx, claim, kept)
    return given


def parse_claim(request: Request, ctx: RequestContext, asked: bytes) -> Claim | None:
    """A named request of a viewer's; a stranger has nobody whose name it could be.

    Who may only read writes nothing, and is told nothing of what the same account wrote by other means.
    """
    given = [value for name, value in request.scope["headers"] if name == HEADER]
    if not given or ctx.viewer is None or ctx.reads_only:
        return None
    if len(given) > 1:
        raise ValidationError.for_fields(**{NAME: "must be given once"})
    return Claim(ctx.viewer.id, parse_key(given[0].decode("latin-1")), fingerprint(request, asked))


def parse_key(text: str) -> str:
    """The name in a header's value."""
    found = KEY.fullmatch(text.strip(" \t"))
    if found is None:
        raise ValidationError.for_fields(**{NAME: WORDS})
    return ESCAPED.sub(r"\1", found[1]) if found[1] else found[2]


def reject_idempotency_key(visit: RequestState) -> None:
    """Refuse a name where it would not keep anything from being done twice."""
    if HEADER in visit.headers:
        raise ValidationError.for_fields(**{NAME: "is not known here: what is sent twice is done twice"})


def fingerprint(request: Request, asked: bytes) -> str:
    """What is asked: its method, its address, what it is sent under condition of, and what its body says."""
    said = request.method, request.url.path, request.url.query, request.headers.get("if-match", "")
    return hashlib.sha256("\n".join(said).encode() + b"\n" + asked).hexdigest()


async def wait_for_stored_response(request: Request, ctx: RequestContext, claim: Claim) -> StoredResponse:
    """The first answer, once there is one. Where there will be none, what the first request changed."""
    while (known := await idempotency.find(ctx.db, claim)) and known.status is None:
        if utcnow() - known.created_at > PATIENCE:
            raise Conflict(NO_STORED_RESPONSE, details={"changed": known.changed})
        await asyncio.sleep(PAUSE)
    if known is None:
        raise Unavailable
    get_request_state(request.scope).add_header(REPLAYED, "true")
    return StoredResponse(known.status, known.headers, known.body)


async def store_response(ctx: RequestContext, claim: Claim, answer: StoredResponse) -> None:
    """Keep an answer; one that cannot be kept was given nonetheless."""
    try:
        await idempotency.store(ctx.db, claim, *answer)
    except Unavailable:
        logger.warning("The answer to request %s was not kept: the database is away", ctx.request_id)
