"""Authenticate a request, count it in its rate limit, and build the context for its operations."""

from functools import partial
from typing import Protocol

from starlette.requests import HTTPConnection, Request

from gateway.auth.authenticator import Authenticator
from gateway.auth.cookies import (
    SESSION_COOKIE,
    check_origin,
    clear_cookie,
    get_trusted_cookie,
    set_auth_cookies,
)
from gateway.http.client_address import client_address
from gateway.http.conditional import CREDENTIAL_HEADERS
from gateway.http.cookies import get_cookies
from gateway.http.request_state import RequestState, get_request_state
from gateway.limits import Limits, rate_limit_key
from gateway.settings import Settings
from models.errors import APIError, Unauthorized
from resolvers.context import RequestContext

CONTEXT_KEY = "gateway.context"
API_KEY_HEADER = b"x-api-key"
"""For clients that cannot set `Authorization`."""


class ServerState(Protocol):
    """The parts of a running server that authentication needs."""

    settings: Settings
    limits: Limits
    authenticator: Authenticator

    def context(self, request_id: str) -> RequestContext: ...


async def authenticate_and_limit(
    connection: HTTPConnection, limit: str | None, *, cookies: bool = True
) -> RequestContext:
    """Return the context of a request, after its credentials and its rate limit have been checked.

    A request with invalid credentials counts against its client's address. Raise `Unauthorized`, `Forbidden`,
    `Unavailable` (the identity provider's keys cannot be fetched) or `RateLimited`.
    """
    state, request_state = get_server_state(connection), identify_client(connection)
    ctx = state.context(request_state.request_id)
    try:
        if not CREDENTIAL_HEADERS.isdisjoint(request_state.headers):
            await authenticate(ctx, connection, cookies=cookies)
    except APIError:
        if limit:
            await state.limits.check(limit, request_state.client_key, request_state)
        raise
    connection.scope[CONTEXT_KEY] = ctx
    request_state.viewer = ctx.viewer and ctx.viewer.id
    if ctx.viewer:
        request_state.caller = rate_limit_key(ctx.viewer, "", ctx.key_id)
    ctx.charge = partial(state.limits.charge_cost, request_state)
    if limit:
        await state.limits.check(limit, request_state.caller, request_state)
    return ctx


def identify_client(connection: HTTPConnection) -> RequestState:
    """Set the rate limit key of a request to its client's address, until it is authenticated."""
    request_state = get_request_state(connection.scope)
    address = client_address(connection, get_server_state(connection).settings.trusted_proxies)
    request_state.caller = request_state.client_key = rate_limit_key(None, address)
    return request_state


async def authenticate(ctx: RequestContext, connection: HTTPConnection, *, cookies: bool) -> None:
    """Authenticate by the first of: bearer token, API key, cookie.

    An invalid token or key raises `Unauthorized`, also where a viewer is optional: its client expects it to work.
    """
    authenticator, request_state = get_server_state(connection).authenticator, get_request_state(connection.scope)
    token = parse_bearer_token(request_state.header(b"authorization"))
    if token is not None:
        ctx.authenticate(await authenticator.authenticate_bearer(token))
    elif (key := request_state.header(API_KEY_HEADER)) is not None:
        ctx.authenticate(await authenticator.authenticate_api_key(key))
    elif cookies and b"cookie" in request_state.headers:
        await authenticate_cookie(ctx, connection)


def parse_bearer_token(authorization: str | None) -> str | None:
    """Return the token of an `Authorization: Bearer` header. Other schemes, such as a proxy's Basic, are ignored."""
    if not authorization:
        return None
    scheme, _, token = authorization.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


async def authenticate_cookie(ctx: RequestContext, connection: HTTPConnection) -> None:
    """Authenticate by our session cookie, or else by Auth.js's. A stale cookie is cleared, and the request anonymous.

    Raise `Forbidden` if the request must not use cookies (`check_origin`).
    """
    state = get_server_state(connection)
    settings, authenticator = state.settings, state.authenticator
    token = get_trusted_cookie(connection, SESSION_COOKIE, settings)
    if token is not None:
        try:
            return ctx.authenticate(await authenticator.authenticate_session(token))
        except Unauthorized:
            clear_cookie(get_request_state(connection.scope), SESSION_COOKIE, settings)
    cookies = get_cookies(connection)
    if authenticator.has_external_session(cookies):
        check_origin(connection, settings)
        if claims := await authenticator.authenticate_external_session(cookies):
            ctx.authenticate(claims)
    return None


def attach_session_cookies(connection: HTTPConnection, ctx: RequestContext) -> None:
    """Set the cookies if the operation signed the caller in, whatever the protocol."""
    if ctx.issued is not None:
        state, request_state = get_server_state(connection), get_request_state(connection.scope)
        request_state.viewer = ctx.issued.user
        set_auth_cookies(request_state, ctx.issued, state.settings, int(ctx.tokens.refresh_lifetime.total_seconds()))


def get_server_state(connection: HTTPConnection) -> ServerState:
    return connection.scope["app"].state.gateway


def get_context(request: Request) -> RequestContext:
    """Return the context of an authenticated request.

    A FastAPI dependency would cost as much as a whole route.
    """
    return request.scope[CONTEXT_KEY]
