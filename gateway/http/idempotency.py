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

from gateway.http.request_state import Visit, visit_of
from models import utcnow
from models.errors import Conflict, Unavailable, ValidationError
from resolvers import idempotency
from resolvers.context import RequestContext
from resolvers.idempotency import UNANSWERED, Claim, Claiming

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


class Kept(NamedTuple):
    """What is kept of an answer."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Form(Generic[Answer]):
    """How a protocol keeps its answers, and gives them again."""

    kept: Callable[[Answer], Kept | None]
    """None of one that says to try again: whoever does must not be told the same for a day."""
    again: Callable[[Kept], Answer]


async def once(
    request: Request, ctx: RequestContext, asked: bytes, answer: Callable[[], Awaitable[Answer]], form: Form[Answer]
) -> Answer:
    """Answer a write; if its sender named it and it was answered before, in the same words as then."""
    claim = claim_of(request, ctx, asked)
    if claim is None:
        return await answer()
    db = ctx.db
    if await idempotency.found(db, claim):
        return form.again(await answered_before(request, ctx, claim))
    ctx.db = Claiming(db, claim)
    try:
        given = await answer()
    except Conflict:
        if not claim.lost:
            raise
    finally:
        ctx.db = db
    if claim.lost:
        return form.again(await answered_before(request, ctx, claim))
    if claim.taken and (kept := form.kept(given)) and len(kept.body) <= MOST_KEPT:
        await keep(ctx, claim, kept)
    return given


def claim_of(request: Request, ctx: RequestContext, asked: bytes) -> Claim | None:
    """A named request of a viewer's; a stranger has nobody whose name it could be.

    Who may only read writes nothing, and is told nothing of what the same account wrote by other means.
    """
    given = [value for name, value in request.scope["headers"] if name == HEADER]
    if not given or ctx.viewer is None or ctx.reads_only:
        return None
    if len(given) > 1:
        raise ValidationError.of(**{NAME: "must be given once"})
    return Claim(ctx.viewer.id, key_of(given[0].decode("latin-1")), fingerprint(request, asked))


def key_of(text: str) -> str:
    """The name in a header's value."""
    found = KEY.fullmatch(text.strip(" \t"))
    if found is None:
        raise ValidationError.of(**{NAME: WORDS})
    return ESCAPED.sub(r"\1", found[1]) if found[1] else found[2]


def check_unnamed(visit: Visit) -> None:
    """Refuse a name where it would not keep anything from being done twice."""
    if HEADER in visit.given:
        raise ValidationError.of(**{NAME: "is not known here: what is sent twice is done twice"})


def fingerprint(request: Request, asked: bytes) -> str:
    """What is asked: its method, its address, what it is sent under condition of, and what its body says."""
    said = request.method, request.url.path, request.url.query, request.headers.get("if-match", "")
    return hashlib.sha256("\n".join(said).encode() + b"\n" + asked).hexdigest()


async def answered_before(request: Request, ctx: RequestContext, claim: Claim) -> Kept:
    """The first answer, once there is one. Where there will be none, what the first request changed."""
    while (known := await idempotency.found(ctx.db, claim)) and known.status is None:
        if utcnow() - known.created_at > PATIENCE:
            raise Conflict(UNANSWERED, details={"changed": known.changed})
        await asyncio.sleep(PAUSE)
    if known is None:
        raise Unavailable
    visit_of(request.scope).add_header(REPLAYED, "true")
    return Kept(known.status, known.headers, known.body)


async def keep(ctx: RequestContext, claim: Claim, answer: Kept) -> None:
    """Keep an answer; one that cannot be kept was given nonetheless."""
    try:
        await idempotency.keep(ctx.db, claim, *answer)
    except Unavailable:
        logger.warning("The answer to request %s was not kept: the database is away", ctx.request_id)
