"""What every REST endpoint has in common: who asks and how often is settled before its body is read."""

from collections.abc import Callable, Coroutine
from functools import partial
from inspect import unwrap
from typing import Any, TypeVar, get_type_hints
from urllib.parse import unquote_to_bytes

from fastapi import APIRouter
from fastapi.routing import APIRoute
from pydantic.alias_generators import to_camel
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.auth.cookies import SAFE_METHODS
from gateway.auth.request import attach_session_cookies, authenticate_and_limit
from gateway.http.client_address import client_address
from gateway.http.content_negotiation import is_json
from gateway.http.idempotency import HEADER, check_unnamed, once
from gateway.http.json_request import Asked
from gateway.http.middleware.request_state import announced
from gateway.http.request_state import visit_of
from gateway.http.routing import Direct
from gateway.limits import API, EXPENSIVE, UPLOAD, rate_limit_key
from gateway.rest.framework import responses
from gateway.rest.framework.responses import Body
from gateway.wiring import get_state
from models.errors import PayloadTooLarge, UnsupportedMediaType, ValidationError

READ, WRITE = 2, 12
"""Points of an endpoint's that says nothing: as GraphQL counts one object, read or written."""

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
Function = TypeVar("Function", bound=Callable[..., Any])


def router_of(prefix: str, tag: str, *, admitting: bool = True) -> APIRouter:
    """A router whose operations are called in OpenAPI as their functions are here."""
    route = Endpoint if admitting else APIRoute
    return APIRouter(prefix=prefix, tags=[tag], route_class=route, generate_unique_id_function=operation_id)


def operation_id(route: APIRoute) -> str:
    return to_camel(route.name)


def without_cookies(endpoint: Function) -> Function:
    """For endpoints whose callers say who they are in the body: cookies that come along make nobody a viewer."""
    endpoint.takes_cookies = False
    return endpoint


def costs(points: int) -> Callable[[Function], Function]:
    """For endpoints that cost more, or less, than others of their kind."""

    def declare(endpoint: Function) -> Function:
        endpoint.points = points
        return endpoint

    return declare


class Answering(Direct):
    """An endpoint that asks for nothing but the request."""

    def __init__(self, handle: Handler, limit: str | None) -> None:
        self.handle, self.limit = handle, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        known = scope["app"].state.gateway.known.given(scope)
        response = await (self.again(scope, *known) if known else self.handle(Asked(scope, receive)))
        await response(scope, receive, send)

    async def again(self, scope: Scope, body: Body, points: int) -> Response:
        """What is known already, for a stranger who may ask for it."""
        gateway, visit = get_state(connection := HTTPConnection(scope)), visit_of(scope)
        address = client_address(connection, gateway.settings.trusted_proxies)
        visit.caller = visit.stranger = rate_limit_key(None, address)
        if self.limit:
            await gateway.limits.check(self.limit, visit.caller, visit)
        await gateway.limits.charge_cost(visit, points)
        return responses.read(scope, body)


class Endpoint(APIRoute):
    """A route that admits its caller first and hands out cookies last."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        if is_direct(endpoint):
            self.app = Answering(self.admitting(unwrap(endpoint)), getattr(endpoint, "rate_limit", None))

    def get_route_handler(self) -> Handler:
        return self.admitting(super().get_route_handler())

    def admitting(self, answer: Handler) -> Handler:
        limit = getattr(self.endpoint, "rate_limit", None)
        cookies = getattr(self.endpoint, "takes_cookies", True)
        has_body, writes = self.body_field is not None, not self.methods <= set(SAFE_METHODS)
        points = getattr(self.endpoint, "points", WRITE if writes else READ)
        may_repeat, is_unnamed = writes and limit == API, limit in (UPLOAD, EXPENSIVE)
        strangers_may = {} in (self.openapi_extra or {}).get("security", [{}])

        async def handle(request: Request) -> Response:
            ctx, visit = await authenticate_and_limit(request, limit, cookies=cookies), visit_of(request.scope)
            check_query_string(request.scope["query_string"])
            if has_body:
                check_length(request)
                check_type(request)
            if not strangers_may:
                ctx.signed_in()
            if writes:
                ctx.may_write()
            if is_unnamed:
                check_unnamed(visit)
            if points:
                await ctx.charge(points)
            given = request if isinstance(request, Asked) else Asked(request.scope, request.receive)
            if may_repeat and HEADER in visit.given:
                response = await once(given, ctx, await given.body(), partial(answer, given), responses.FORM)
            else:
                response = await answer(given)
            attach_session_cookies(request, ctx)
            return response

        return handle


def is_direct(endpoint: Callable[..., Any]) -> bool:
    """Whether all that it takes is the request, and all that it gives the response: FastAPI has nothing to add."""
    hints = get_type_hints(endpoint)
    return hints.pop("return", None) is Response and list(hints.values()) == [Request]


def check_length(request: Request) -> None:
    """A body that says it is too large is refused as that, whoever sends it."""
    if announced(request.scope) > get_state(request).settings.max_body_bytes:
        raise PayloadTooLarge


def check_query_string(text: bytes) -> None:
    """Starlette would put a mark in place of what is not UTF-8, and search for that."""
    if b"%" in text or not text.isascii():
        try:
            unquote_to_bytes(text).decode()
        except UnicodeDecodeError as error:
            raise ValidationError("The query string must be UTF-8") from error


def check_type(request: Request) -> None:
    """A body must say that it is JSON; no body need say nothing."""
    visit = visit_of(request.scope)
    content_type = visit.header(b"content-type")
    empty = visit.given.get(b"content-length", b"0") == b"0" and b"transfer-encoding" not in visit.given
    if not is_json(content_type) and not (content_type is None and empty):
        raise UnsupportedMediaType("The body is application/json")
