"""`Idempotency-Key`: a write that is sent again, as its answer did not arrive, is answered again and not done again."""

import asyncio
import hashlib
import logging
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response

from gateway.visits import visit_of
from models import utcnow
from models.errors import Conflict, Unavailable, ValidationError
from resolvers import idempotency
from resolvers.context import RequestContext
from resolvers.idempotency import UNANSWERED, Claim, Claiming

HEADER = b"idempotency-key"
REPLAYED = "Idempotency-Replayed"
KEY = re.compile(r'"?([\x21\x23-\x7e]{1,255})"?')
"""The draft's quoted string, or the same without its quotation marks, as Stripe's clients send it."""
KEPT_HEADERS = "content-type", "etag", "location", "cache-control", "vary"

PATIENCE = timedelta(seconds=3)
"""How long after a request took effect its answer is waited for."""
PAUSE = 0.05

logger = logging.getLogger("gateway")


async def once(
    request: Request, ctx: RequestContext, body: bytes, answer: Callable[[], Awaitable[Response]]
) -> Response:
    """Answer a write; if its sender named it and it was answered before, in the same words as then."""
    claim = claim_of(request, ctx, body)
    if claim is None:
        return await answer()
    db = ctx.db
    if await idempotency.found(db, claim):
        return await answered_before(request, ctx, claim)
    ctx.db = Claiming(db, claim)
    try:
        response = await answer()
    except Conflict:
        if not claim.lost:
            raise
    finally:
        ctx.db = db
    if claim.lost:
        return await answered_before(request, ctx, claim)
    if claim.taken and response.status_code < 500:
        await kept(ctx, claim, response)
    return response


def claim_of(request: Request, ctx: RequestContext, body: bytes) -> Claim | None:
    """A named request of a viewer's; a stranger has nobody whose name it could be."""
    given = visit_of(request.scope).header(HEADER)
    if given is None or ctx.viewer is None:
        return None
    key = KEY.fullmatch(given.strip())
    if key is None:
        raise ValidationError.of(**{"Idempotency-Key": "must be 1 to 255 visible characters of ASCII"})
    return Claim(ctx.viewer.id, key[1], fingerprint(request, body))


def fingerprint(request: Request, body: bytes) -> str:
    """What is asked: its method, its address, what it is sent under condition of, and its body."""
    said = request.method, request.url.path, request.url.query, request.headers.get("if-match", "")
    return hashlib.sha256("\n".join(said).encode() + b"\n" + body).hexdigest()


async def answered_before(request: Request, ctx: RequestContext, claim: Claim) -> Response:
    """The first answer, once there is one. Where its server died before there was, what it changed."""
    while (known := await idempotency.found(ctx.db, claim)) and known.status is None:
        if utcnow() - known.created_at > PATIENCE:
            raise Conflict(UNANSWERED, details={"changed": known.changed})
        await asyncio.sleep(PAUSE)
    if known is None:
        raise Unavailable
    visit_of(request.scope).add_header(REPLAYED, "true")
    return Response(known.body, known.status, known.headers)


async def kept(ctx: RequestContext, claim: Claim, response: Response) -> None:
    """Keep an answer; one that cannot be kept was given nonetheless."""
    headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    try:
        await idempotency.keep(ctx.db, claim, response.status_code, headers, bytes(response.body))
    except Unavailable:
        logger.warning("The answer to request %s was not kept: the database is away", ctx.request_id)
