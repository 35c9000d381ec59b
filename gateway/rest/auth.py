"""Registration, login, token refresh and logout."""

from typing import Annotated

import orjson
from fastapi import Body
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from gateway import limits
from gateway.auth.cookies import REFRESH_COOKIE, SESSION_COOKIE, clear_cookie, get_trusted_cookie
from gateway.auth.request import authenticate_cookie, get_context
from gateway.http.request_state import get_request_state
from gateway.rest.framework import queries
from gateway.rest.framework.openapi import (
    IF_NONE_MATCH_PARAMETER,
    LOGIN_OPTIONAL,
    LOGIN_REQUIRED,
    REFRESH_COOKIE_OPTIONAL,
    etag_responses,
)
from gateway.rest.framework.responses import NO_STORE, get_response, json_response, wrap_data
from gateway.rest.framework.routing import cost, create_router, ignore_cookies, raises
from gateway.rest.framework.schemas import Data, Session, User
from gateway.state import get_state
from models.errors import Conflict, Unauthorized
from resolvers import accounts
from resolvers.accounts import Login, Register
from resolvers.inputs import Input
from resolvers.passwords import HASH_COST
from resolvers.tokens import IssuedTokens

router = create_router("/api/auth", "Accounts")

LOGIN_COST = 2 + HASH_COST

EMAIL, PASSWORD = "robin@example.com", "a long password"
NewAccount = Annotated[Register, Body(examples=[{"name": "Robin", "email": EMAIL, "password": PASSWORD}])]
Credentials = Annotated[Login, Body(examples=[{"email": EMAIL, "password": PASSWORD}])]


class RefreshToken(Input):
    """The refresh token of a client that does not use cookies."""

    refresh_token: str | None = Field(None, description="The `refreshToken` of the last login or refresh.")


@router.post(
    "/register", status_code=201, response_model=Data[Session], response_description="The new account's session."
)
@limits.auth
@cost(LOGIN_COST)
@ignore_cookies
@raises(Conflict)
async def register(request: Request, input: NewAccount) -> Response:
    """Create an account and log in."""
    return await session_response(request, await accounts.register(get_context(request), input), 201)


@router.post("/login", response_model=Data[Session], response_description="The new session.")
@limits.auth
@cost(LOGIN_COST)
@ignore_cookies
async def login(request: Request, input: Credentials) -> Response:
    """Log in with an email address and a password."""
    return await session_response(request, await accounts.login(get_context(request), input))


@router.post(
    "/refresh",
    response_model=Data[Session],
    response_description="The session with its new tokens.",
    openapi_extra=REFRESH_COOKIE_OPTIONAL,
)
@limits.auth
@ignore_cookies
async def refresh(request: Request, body: RefreshToken | None = None) -> Response:
    """Exchange a refresh token, from the body or from the cookie, for new tokens."""
    token = get_refresh_token(request, body)
    if token is None:
        raise Unauthorized("A refresh token is required, in the body or as a cookie")
    return await session_response(request, await accounts.refresh(get_context(request), token))


@router.post("/logout", status_code=204, response_description="Logged out.", openapi_extra=LOGIN_OPTIONAL)
@limits.auth
@ignore_cookies
async def logout(request: Request, body: RefreshToken | None = None) -> Response:
    """End the session: all of its tokens stop working at once."""
    ctx, token = get_context(request), get_refresh_token(request, body)
    if ctx.viewer is None and not (body and body.refresh_token):
        await authenticate_cookie(ctx, request)
    await accounts.logout(ctx, token)
    for name in (SESSION_COOKIE, REFRESH_COOKIE):
        clear_cookie(get_request_state(request.scope), name, get_state(request).settings)
    return Response(status_code=204)


@router.get(
    "/me",
    summary="Get Viewer",
    response_model=Data[User],
    response_description="The viewer's account.",
    responses=etag_responses('`"DIGEST"`'),
    openapi_extra={**LOGIN_REQUIRED, "parameters": [IF_NONE_MATCH_PARAMETER]},
)
@limits.auth
async def me(request: Request) -> Response:
    """Return the account of the viewer."""
    return get_response(request.scope, await queries.fetch_viewer(request))


def get_refresh_token(request: Request, body: RefreshToken | None) -> str | None:
    """Return the refresh token from the body, or else from the cookie if its origin is allowed."""
    if body and body.refresh_token:
        return body.refresh_token
    return get_trusted_cookie(request, REFRESH_COOKIE, get_state(request).settings)


async def session_response(request: Request, issued: IssuedTokens, status: int = 200) -> Response:
    """Return the new tokens with the account that they belong to."""
    session = {
        "accessToken": issued.access_token,
        "refreshToken": issued.refresh_token,
        "expiresIn": issued.expires_in,
        "user": orjson.Fragment(await queries.fetch_viewer_json(request)),
    }
    return json_response(wrap_data(orjson.dumps(session)), status, NO_STORE)
