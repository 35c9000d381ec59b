"""Who is at the other end of a socket: what `connection_init` and the handshake say of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from starlette.websockets import WebSocket

from gateway.auth.request import authenticate, parse_bearer_token
from gateway.state import AppState, get_state
from gateway.transports.websocket import messages
from gateway.transports.websocket.messages import WebSocketClose
from models.errors import APIError, RateLimited, Unavailable
from resolvers.context import RequestContext
from resolvers.tokens import Claims

TOO_MANY_INITS_REASON = "Too many initialisation requests"
RETRY_CODES = {Unavailable.__name__: messages.TRY_AGAIN_LATER, RateLimited.__name__: messages.TRY_AGAIN_LATER}


@contextmanager
def close_codes(**codes: int) -> Iterator[None]:
    """Refusals as closings, by the names of their classes; what passes by itself is to be tried again later."""
    try:
        yield
    except APIError as refusal:
        code = (RETRY_CODES | codes).get(type(refusal).__name__, messages.INTERNAL_ERROR)
        raise WebSocketClose(
            code, TOO_MANY_INITS_REASON if code == messages.TOO_MANY_INITS else refusal.message
        ) from refusal


async def identify(ctx: RequestContext, websocket: WebSocket, payload: dict[str, Any]) -> None:
    """By the payload's token, or else what the handshake says, where a cookie must have come from a page of ours."""
    token = parse_token(payload)
    if token is not None:
        ctx.authenticate(await get_state(websocket).authenticator.authenticate_bearer(token))
    else:
        await authenticate(ctx, websocket, cookies=True)


async def authenticate_token(gateway: AppState, payload: dict[str, Any]) -> Claims:
    """What the token of a payload says, if it is valid."""
    return await gateway.authenticator.authenticate_bearer(parse_token(payload) or "")


def string_values(payload: dict[str, Any]) -> dict[str, str]:
    """What a payload says in place of headers, which browsers send none of with a handshake."""
    return {key.lower(): value for key, value in payload.items() if isinstance(value, str)}


def parse_token(payload: dict[str, Any]) -> str | None:
    """The token of a payload, whatever the case of its key: as a bearer's, or bare. Empty text is none."""
    given = next((value for key, value in payload.items() if key.lower() == "authorization"), None)
    if given is None or given == "":
        return None
    if not isinstance(given, str):
        raise WebSocketClose(messages.BAD_REQUEST, "authorization is text")
    token = parse_bearer_token(given)
    return given.strip() if token is None else token
