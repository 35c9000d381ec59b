"""`Idempotency-Key`: a repeated write has no second effect, and gets the response to the first request.

The header is that of draft-ietf-httpapi-idempotency-key-header.
"""

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

NAME = "Idempotency-Key"
HEADER = NAME.lower().encode()
REPLAYED = "Idempotency-Replayed"
KEY = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\]){1,255})"(?: *;[ -~]*)?|([!#-~]{1,255})')
"""A string of RFC 8941, as the draft says, with ignored parameters; or a bare word, as Stripe's clients send it."""
ESCAPED_CHARACTER = re.compile(r"\\(.)")
INVALID_KEY = "must be 1 to 255 visible ASCII characters, or a quoted string of them and spaces"

RESPONSE_TIMEOUT = timedelta(seconds=3)
"""Time after the effect of the first request for which its response is awaited."""
POLL_INTERVAL_SECONDS = 0.05
MAX_STORED_BYTES = 64 * 1024
"""Size of a response that is stored. A repeated request whose response is larger gets a 409 with the changed ids."""

ResponseT = TypeVar("ResponseT")
logger = logging.getLogger("gateway")


class StoredResponse(NamedTuple):
    """A response as it is stored."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class ResponseCodec(Generic[ResponseT]):
    """Converts a protocol's responses to stored ones, and back."""

    encode: Callable[[ResponseT], StoredResponse | None]
    """Returns None for a temporary error, which must not be replayed for a day."""
    decode: Callable[[StoredResponse], ResponseT]


async def run_idempotent(
    request: Request,
    ctx: RequestContext,
    body: bytes,
    execute: Callable[[], Awaitable[ResponseT]],
    codec: ResponseCodec[ResponseT],
) -> ResponseT:
    """Execute a write, or return the stored response if a request with its key was executed before.

    `body`: a canonical form of the request's body, for the fingerprint. Raises `IdempotencyMismatch` if the key belongs
    to a different request, `Conflict` if the response to the first one is missing.
    """
    claim = parse_claim(request, ctx, body)
    if claim is None:
        return await execute()
    db = ctx.db
    if await idempotency.find(db, claim):
        return codec.decode(await wait_for_stored_response(request, ctx, claim))
    ctx.db = IdempotentDatabase(db, claim)
    try:
        response = await execute()
    except Conflict:
        if not claim.is_conflict:
            raise
    finally:
        ctx.db = db
    if claim.is_conflict:
        return codec.decode(await wait_for_stored_response(request, ctx, claim))
    if claim.is_claimed and (stored := codec.encode(response)) and len(stored.body) <= MAX_STORED_BYTES:
        try:
            await idempotency.store(db, claim, *stored)
        except Unavailable:
            logger.warning("The response to request %s was not stored: the database is unavailable", ctx.request_id)
    return response


def parse_claim(request: Request, ctx: RequestContext, body: bytes) -> Claim | None:
    """Return the claim of a viewer's request with a key, or None.

    A key belongs to a viewer. A caller with read access writes nothing, and may not see the response to a write.
    """
    headers = [value for name, value in request.scope["headers"] if name == HEADER]
    if not headers or ctx.viewer is None or ctx.reads_only:
        return None
    if len(headers) > 1:
        raise ValidationError.for_fields(**{NAME: "must be given once"})
    return Claim(ctx.viewer.id, parse_key(headers[0].decode("latin-1")), fingerprint(request, body))


def parse_key(text: str) -> str:
    """Return the key in a header's value, or raise `ValidationError`."""
    match = KEY.fullmatch(text.strip(" \t"))
    if match is None:
        raise ValidationError.for_fields(**{NAME: INVALID_KEY})
    return ESCAPED_CHARACTER.sub(r"\1", match[1]) if match[1] else match[2]


def reject_idempotency_key(state: RequestState) -> None:
    """Reject a key at an endpoint where it would have no effect."""
    if HEADER in state.headers:
        raise ValidationError.for_fields(**{NAME: "is not supported by this endpoint"})


def fingerprint(request: Request, body: bytes) -> str:
    """Return a hash of the method, the URL, `If-Match` and the body."""
    head = request.method, request.url.path, request.url.query, request.headers.get("if-match", "")
    return hashlib.sha256("\n".join(head).encode() + b"\n" + body).hexdigest()


async def wait_for_stored_response(request: Request, ctx: RequestContext, claim: Claim) -> StoredResponse:
    """Return the first response once it is stored. Raises `Conflict` with the changed ids after a timeout."""
    while (stored := await idempotency.find(ctx.db, claim)) and stored.status is None:
        if utcnow() - stored.created_at > RESPONSE_TIMEOUT:
            raise Conflict(NO_STORED_RESPONSE, details={"changed": stored.changed})
        await asyncio.sleep(POLL_INTERVAL_SECONDS)
    if stored is None:
        raise Unavailable
    get_request_state(request.scope).add_header(REPLAYED, "true")
    return StoredResponse(stored.status, stored.headers, stored.body)
