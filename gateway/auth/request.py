"""From a request to the context that operations are handed."""

from functools import partial

from starlette.requests import HTTPConnection, Request

from gateway.auth.cookies import API_KEY, bearer_token, by_bearer, by_cookie, by_key, hand_out
from gateway.http.client_address import client_address
from gateway.http.conditional import CREDENTIALS
from gateway.http.request_state import visit_of
from gateway.limits import caller
from gateway.wiring import Gateway
from models.errors import Refusal
from resolvers.context import RequestContext

KEY = "gateway.context"


def gateway_of(connection: HTTPConnection) -> Gateway:
    return connection.scope["app"].state.gateway


async def admit(connection: HTTPConnection, limit: str | None, *, cookies: bool = True) -> RequestContext:
    """Who asks, and whether they may so soon again. Those who are refused for who they are count by their address."""
    gateway, visit = gateway_of(connection), visit_of(connection.scope)
    ctx = gateway.context(visit.request_id)
    address = client_address(connection, gateway.settings.trusted_proxies)
    visit.stranger = caller(None, address)
    try:
        if not CREDENTIALS.isdisjoint(visit.given):
            await identify(ctx, connection, cookies=cookies)
    except Refusal:
        if limit:
            await gateway.limits.count(limit, visit.stranger, visit)
        raise
    connection.scope[KEY] = ctx
    visit.viewer = ctx.viewer and ctx.viewer.id
    visit.caller = caller(ctx.viewer, address, ctx.key_id) if ctx.viewer else visit.stranger
    ctx.charge = partial(gateway.limits.charge, visit)
    if limit:
        await gateway.limits.count(limit, visit.caller, visit)
    return ctx


async def identify(ctx: RequestContext, connection: HTTPConnection, *, cookies: bool) -> None:
    """A bearer token comes first, then an API key, then any cookie."""
    gateway, visit = gateway_of(connection), visit_of(connection.scope)
    token = bearer_token(visit.header(b"authorization"))
    if token is not None:
        await by_bearer(ctx, gateway.credentials, token)
    elif (key := visit.header(API_KEY)) is not None:
        await by_key(ctx, gateway.credentials, key)
    elif cookies and b"cookie" in visit.given:
        await by_cookie(ctx, gateway.credentials, connection, gateway.settings, visit)


def enter(connection: HTTPConnection, ctx: RequestContext) -> None:
    """After an operation: whoever signed in is the request's viewer from now on, and gets the cookies."""
    if ctx.issued is not None:
        gateway, visit = gateway_of(connection), visit_of(connection.scope)
        visit.viewer = ctx.issued.user
        hand_out(visit, ctx.issued, gateway.settings, int(gateway.tokens.refresh_life.total_seconds()))


def context_of(request: Request) -> RequestContext:
    """The context of a request that was admitted. A dependency of FastAPI's kind would cost as much as its route."""
    return request.scope[KEY]
