"""Authentication of a WebSocket by the payload of `connection_init`, or else by its handshake."""

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

RETRY_CODES = {Unavailable.__name__: messages.TRY_AGAIN_LATER, RateLimited.__name__: messages.TRY_AGAIN_LATER}


@contextmanager
def close_codes(**codes: int) -> Iterator[None]:
    """Turn errors into `WebSocketClose`. `codes` maps names of error classes to close codes."""
    try:
        yield
    except APIError as error:
        code = (RETRY_CODES | codes).get(type(error).__name__, messages.INTERNAL_ERROR)
        reason = "Too many initialisation requests" if code == messages.TOO_MANY_INITS else error.message
        raise WebSocketClose(code, reason) from error


async def identify(ctx: RequestContext, websocket: WebSocket, payload: dict[str, Any]) -> None:
    """Authenticate by the payload's token, or else by the handshake. Cookies count only from an allowed origin."""
    token = parse_token(payload)
    if token is not None:
        ctx.authenticate(await get_state(websocket).authenticator.authenticate_bearer(token))
    else:
        await authenticate(ctx, websocket, cookies=True)


async def authenticate_token(app_state: AppState, payload: dict[str, Any]) -> Claims:
    """Return the claims of the payload's token. Raises `Unauthorized` if there is none or it is invalid."""
    return await app_state.authenticator.authenticate_bearer(parse_token(payload) or "")


def string_values(payload: dict[str, Any]) -> dict[str, str]:
    """Return the strings of a payload like headers, by lower-case name. Browsers cannot send headers of their own."""
    return {key.lower(): value for key, value in payload.items() if isinstance(value, str)}


def parse_token(payload: dict[str, Any]) -> str | None:
    """Return the token of a payload, with or without `Bearer`; None if it is absent or empty."""
    value = next((item for key, item in payload.items() if key.lower() == "authorization"), None)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise WebSocketClose(messages.BAD_REQUEST, "authorization must be a string")
    token = parse_bearer_token(value)
    return value.strip() if token is None else token
