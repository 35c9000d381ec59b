"""Signing in and out over plain HTTP."""

import orjson
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from gateway import limits
from gateway.auth.cookies import REFRESH_COOKIE, SESSION_COOKIE, clear_cookie, get_trusted_cookie
from gateway.auth.request import authenticate_cookie, get_context
from gateway.http.request_state import visit_of
from gateway.rest.framework import reads, responses
from gateway.rest.framework.openapi import ANYONE, REFRESHING, SIGNED_IN, WITH_BODY, conditional, refusals, tagged
from gateway.rest.framework.routing import router_of, without_cookies
from gateway.rest.framework.schemas import Data, Session, User
from gateway.wiring import get_state
from models.errors import Conflict, Unauthorized
from resolvers import accounts
from resolvers.accounts import Login, Register
from resolvers.inputs import Input
from resolvers.tokens import IssuedTokens

router = router_of("/api/auth", "Accounts")


class RefreshToken(Input):
    """The refresh token of a caller that keeps no cookies."""

    refresh_token: str | None = Field(None, description="As signing in, or the last refresh, answered it.")


@router.post(
    "/register",
    status_code=201,
    response_model=Data[Session],
    responses=refusals(*WITH_BODY, Conflict),
)
@limits.auth
@without_cookies
async def register(request: Request, input: Register) -> Response:
    """Make an account and sign in to it."""
    return await session(request, await accounts.register(get_context(request), input), 201)


@router.post("/login", response_model=Data[Session], responses=refusals(*WITH_BODY))
@limits.auth
@without_cookies
async def login(request: Request, input: Login) -> Response:
    """Sign in with an email address and a password."""
    return await session(request, await accounts.login(get_context(request), input))


@router.post("/refresh", response_model=Data[Session], responses=refusals(*WITH_BODY), openapi_extra=REFRESHING)
@limits.auth
@without_cookies
async def refresh(request: Request, given: RefreshToken | None = None) -> Response:
    """Exchange a refresh token, from the body or the cookie, for new tokens."""
    token = refresh_token(request, given)
    if token is None:
        raise Unauthorized("A refresh token is needed, in the body or in its cookie")
    return await session(request, await accounts.refresh(get_context(request), token))


@router.post("/logout", status_code=204, responses=refusals(*WITH_BODY), openapi_extra=ANYONE)
@limits.auth
@without_cookies
async def logout(request: Request, given: RefreshToken | None = None) -> Response:
    """End the session, at once and for all of its tokens."""
    ctx, token = get_context(request), refresh_token(request, given)
    gateway, visit = get_state(request), visit_of(request.scope)
    if ctx.viewer is None and not (given and given.refresh_token):
        await authenticate_cookie(ctx, request)
    await accounts.logout(ctx, token)
    for name in (SESSION_COOKIE, REFRESH_COOKIE):
        clear_cookie(visit, name, gateway.settings)
    return Response(status_code=204)


@router.get(
    "/me",
    response_model=Data[User],
    responses=refusals(also=tagged('`"DIGEST"`')),
    openapi_extra=conditional(SIGNED_IN),
)
@limits.auth
async def me(request: Request) -> Response:
    """The viewer's own account."""
    return responses.read(request.scope, await reads.viewer(request))


def refresh_token(request: Request, given: RefreshToken | None) -> str | None:
    """From the body; else from the cookie, which counts only where it may."""
    if given and given.refresh_token:
        return given.refresh_token
    return get_trusted_cookie(request, REFRESH_COOKIE, get_state(request).settings)


async def session(request: Request, issued: IssuedTokens, status: int = 200) -> Response:
    """What signing in answers, in whichever way it was done."""
    tokens = {
        "accessToken": issued.access_token,
        "refreshToken": issued.refresh_token,
        "expiresIn": issued.expires_in,
        "user": orjson.Fragment(await reads.account(request)),
    }
    return responses.data(orjson.dumps(tokens), status, responses.NO_STORE)
