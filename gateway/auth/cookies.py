"""Who asks: a bearer token, or the cookies that signing in sets."""

from typing import Any

from starlette.requests import HTTPConnection
from starlette.responses import Response

from gateway.auth.authenticator import Credentials
from gateway.http.client_address import own_origin
from gateway.http.cookies import cookies_of
from gateway.http.request_state import Visit
from gateway.settings import Settings
from models.errors import Forbidden, Unauthorized
from resolvers.context import RequestContext
from resolvers.tokens import Issued

SESSION, REFRESH = "dovetail_session", "dovetail_refresh"
PATHS = {SESSION: "/", REFRESH: "/api/auth"}
"""Where a browser sends each cookie that has no prefix: the refresh token goes only where it is exchanged."""
PREFIX = "__Host-"
"""What browsers hold a cookie's setter to: that it was this very host, for the path `/`. `__Secure-` would leave it to
the neighbours as well, and whoever refreshed by one of theirs would be signed in as them."""
API_KEY = b"x-api-key"
"""The header for machines that cannot set `Authorization`."""
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


def bearer_token(authorization: str | None) -> str | None:
    """The token of a bearer's `Authorization`. Other schemes, such as a proxy's own Basic, are not for us."""
    if not authorization:
        return None
    scheme, _, token = authorization.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


async def by_bearer(ctx: RequestContext, credentials: Credentials, token: str) -> None:
    """Make the request its bearer's, or refuse it: who sends a token wants to know that it does not work."""
    ctx.recognise(await credentials.bearer(token))


async def by_key(ctx: RequestContext, credentials: Credentials, key: str) -> None:
    """Make the request that of the machine whose API key this is, or refuse it."""
    ctx.recognise(await credentials.key(key))


async def by_cookie(
    ctx: RequestContext, credentials: Credentials, connection: HTTPConnection, settings: Settings, visit: Visit
) -> None:
    """Make the request its cookie's, where there is one. A stale one is cleared, and its request anonymous."""
    token = cookie(connection, SESSION, settings)
    if token is not None:
        try:
            return ctx.recognise(await credentials.session(token))
        except Unauthorized:
            clear(visit, SESSION, settings)
    cookies = cookies_of(connection)
    if credentials.has_guest(cookies):
        check_origin(connection, settings)
        if claims := await credentials.guest(cookies):
            ctx.recognise(claims)
    return None


def cookie(connection: HTTPConnection, name: str, settings: Settings) -> str | None:
    """A cookie's value, where it counts."""
    value = cookies_of(connection).get(called(name, settings))
    if value:
        check_origin(connection, settings)
    return value or None


def called(name: str, settings: Settings) -> str:
    """What browsers know a cookie by."""
    return PREFIX + name if settings.prefixes_cookies else name


def check_origin(connection: HTTPConnection, settings: Settings) -> None:
    """Browsers send cookies along whoever made the page: to write, it must be a page of ours.

    So it must be to open a WebSocket, which has no method and may write.
    """
    if connection.scope.get("method") not in SAFE_METHODS and not from_our_pages(connection, settings):
        raise Forbidden("A cookie counts for a write, or a WebSocket, only from this server's pages or CORS_ORIGINS")


def from_our_pages(connection: HTTPConnection, settings: Settings) -> bool:
    origins = connection.headers.getlist("origin")
    origin = origins[0].lower() if len(origins) == 1 else ""  # of two, others may read the one that we do not
    return origin in settings.cors_origins or origin == own_origin(connection, settings.trusted_proxies)


def hand_out(visit: Visit, issued: Issued, settings: Settings, refresh_seconds: int) -> None:
    """Set the cookies of whoever has just signed in, or refreshed."""
    set_cookie(visit, SESSION, issued.access_token, issued.expires_in, settings)
    set_cookie(visit, REFRESH, issued.refresh_token, refresh_seconds, settings)


def clear(visit: Visit, name: str, settings: Settings) -> None:
    set_cookie(visit, name, "", 0, settings)


def set_cookie(visit: Visit, name: str, value: str, seconds: int, settings: Settings) -> None:
    response = Response()
    path = "/" if settings.prefixes_cookies else PATHS[name]
    options: dict[str, Any] = {"path": path, "httponly": True, "samesite": "lax"}
    response.set_cookie(
        called(name, settings),
        value,
        max_age=seconds,
        secure=settings.in_production or settings.prefixes_cookies,
        **options,
    )
    visit.add_header("set-cookie", response.headers["set-cookie"])
