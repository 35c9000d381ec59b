"""The authentication cookies: names, the `Origin` check, set and clear."""

from starlette.requests import HTTPConnection
from starlette.responses import Response

from gateway.http.client_address import own_origin
from gateway.http.cookies import get_cookies
from gateway.http.request_state import RequestState
from gateway.settings import Settings
from models.errors import Forbidden
from resolvers.tokens import IssuedTokens

SESSION_COOKIE, REFRESH_COOKIE = "dovetail_session", "dovetail_refresh"
COOKIE_PATHS = {SESSION_COOKIE: "/", REFRESH_COOKIE: "/api/auth"}
"""Path of each cookie without prefix: browsers send the refresh token only to the endpoints that exchange it."""
HOST_PREFIX = "__Host-"
"""Browsers accept a cookie with this prefix only from this very host and for the path `/` (RFC 6265bis, 4.1.3.2).

`__Secure-` is not enough: a sibling subdomain could set the refresh cookie, and the browser would be signed in to that
account after the next refresh.
"""
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


def get_trusted_cookie(connection: HTTPConnection, name: str, settings: Settings) -> str | None:
    """Return the value of an authentication cookie.

    Raise `Forbidden` if the cookie is present and the request must not use cookies (`check_origin`).
    """
    value = get_cookies(connection).get(cookie_name(name, settings))
    if value:
        check_origin(connection, settings)
    return value or None


def cookie_name(name: str, settings: Settings) -> str:
    """Return the cookie's name as browsers know it, with its prefix if there is one."""
    return HOST_PREFIX + name if settings.prefixes_cookies else name


def check_origin(connection: HTTPConnection, settings: Settings) -> None:
    """Reject writes and WebSocket handshakes from other origins: browsers send cookies with requests of any site.

    A WebSocket handshake has no method in its ASGI scope, and a socket may write.
    """
    if connection.scope.get("method") not in SAFE_METHODS and not is_same_or_allowed_origin(connection, settings):
        raise Forbidden(
            "Cookies are accepted for writes and WebSockets only if Origin is this server or in CORS_ORIGINS"
        )


def is_same_or_allowed_origin(connection: HTTPConnection, settings: Settings) -> bool:
    origins = connection.headers.getlist("origin")
    # With two Origin headers, a proxy may have checked the one that we do not read.
    origin = origins[0].lower() if len(origins) == 1 else ""
    return origin in settings.cors_origins or origin == own_origin(connection, settings.trusted_proxies)


def set_auth_cookies(state: RequestState, issued: IssuedTokens, settings: Settings, refresh_seconds: int) -> None:
    """Set both cookies after login, registration or refresh."""
    set_cookie(state, SESSION_COOKIE, issued.access_token, issued.expires_in, settings)
    set_cookie(state, REFRESH_COOKIE, issued.refresh_token, refresh_seconds, settings)


def clear_cookie(state: RequestState, name: str, settings: Settings) -> None:
    set_cookie(state, name, "", 0, settings)


def set_cookie(state: RequestState, name: str, value: str, seconds: int, settings: Settings) -> None:
    response = Response()
    path = "/" if settings.prefixes_cookies else COOKIE_PATHS[name]
    secure = settings.in_production or settings.prefixes_cookies
    response.set_cookie(
        cookie_name(name, settings), value, seconds, path=path, secure=secure, httponly=True, samesite="lax"
    )
    state.add_header("set-cookie", response.headers["set-cookie"])
