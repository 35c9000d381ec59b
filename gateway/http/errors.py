"""How refusals look to clients: one hierarchy, one renderer for each protocol."""

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import orjson
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.routing import BaseRoute, Match

from gateway.http.content_negotiation import GRAPHQL_PATH, negotiate
from gateway.http.request_state import get_request_state
from gateway.http.responses import RawResponse, encode_headers
from models.errors import APIError, RateLimited, Unauthorized, Unavailable, ValidationError
from resolvers.inputs import to_validation_error as invalid

JSON = "application/json"
RETRY_AFTER = 1
"""Seconds after which what is unavailable may be back, or another server may answer."""
NOT_KEPT = b"cache-control: no-store\r\n"
"""Caches may keep a 404 or a 405 that does not say so, and what is hidden now may be shown a moment later."""

MAX_CAUSE_LENGTH = 300
"""Characters of a cause that are logged."""

logger = logging.getLogger("gateway")


def iter_error_classes(root: type[APIError]) -> Iterator[type[APIError]]:
    yield root
    for below in root.__subclasses__():
        yield from iter_error_classes(below)


OF_CODE = {kind.code: kind for kind in iter_error_classes(APIError)}
OF_STATUS = {kind.status: kind for kind in reversed([*iter_error_classes(APIError)])}
"""The class for what frameworks refuse by number; of two with one number, the first in the tree."""


def rest_body(refusal: APIError, request_id: str) -> dict[str, Any]:
    """`{"error", "code", "details", "requestId"}`; details only where there are any."""
    details = {} if refusal.details is None else {"details": refusal.details}
    return {"error": refusal.message, "code": refusal.code, **details, "requestId": request_id}


def graphql_body(refusal: APIError, request_id: str) -> dict[str, Any]:
    """The same words, where GraphQL clients look for them."""
    details = {} if refusal.details is None else {"details": refusal.details}
    extensions = {"code": refusal.code, "status": refusal.status, **details, "requestId": request_id}
    return {"errors": [{"message": refusal.message, "extensions": extensions}]}


def error_response(scope: Any, refusal: APIError, headers: dict[str, str] | None = None) -> Response:
    """The answer to a request that is refused, in its protocol's form."""
    visit = get_request_state(scope)
    visit.codes = (refusal.code,)
    log_cause(refusal)
    if scope["path"] == GRAPHQL_PATH:
        body, media_type = graphql_body(refusal, visit.request_id), negotiate(scope) or JSON
    else:
        body, media_type = rest_body(refusal, visit.request_id), JSON
    more = encode_headers((name.lower().encode(), value.encode()) for name, value in (headers or {}).items())
    return RawResponse(
        refusal.status, NOT_KEPT + error_headers(refusal) + more, orjson.dumps(body), media_type.encode()
    )


def error_headers(refusal: APIError) -> bytes:
    if isinstance(refusal, Unauthorized):
        return b"www-authenticate: Bearer\r\n"
    if isinstance(refusal, RateLimited):
        return b"retry-after: %d\r\n" % refusal.details["retryAfter"]
    if isinstance(refusal, Unavailable):
        return b"retry-after: %d\r\n" % RETRY_AFTER
    return b""


def add_exception_handlers(app: FastAPI) -> None:
    """Render what the endpoints and the frameworks beneath them raise."""

    async def on_refusal(request: HTTPConnection, error: APIError) -> Response:
        return error_response(request.scope, error)

    async def on_invalid(request: HTTPConnection, error: RequestValidationError) -> Response:
        return error_response(request.scope, from_request_validation_error(error.errors()))

    async def on_http(request: HTTPConnection, error: HTTPException) -> Response:
        headers = dict(error.headers or {})
        if error.status_code == 405:
            headers["Allow"] = ", ".join(allowed_methods(app.routes, request.scope))
        return error_response(request.scope, from_http_exception(error), headers)

    async def on_fault(request: HTTPConnection, error: Exception) -> Response:
        """What nobody foresaw, beneath FastAPI's own layers, which would say so in words and a form of their own."""
        return error_response(request.scope, APIError())

    app.add_exception_handler(Exception, on_fault)
    app.add_exception_handler(APIError, on_refusal)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http)


def to_api_error(error: Exception) -> APIError:
    """What a client is told of an error; of one that nobody foresaw, nothing."""
    if isinstance(error, APIError):
        return error
    return from_http_exception(error) if isinstance(error, HTTPException) else APIError()


def from_request_validation_error(errors: Sequence[Any]) -> ValidationError:
    """What FastAPI found wrong with a request's parameters and body."""
    if any(error["type"] == "json_invalid" for error in errors):
        return ValidationError.for_fields(body="must be valid JSON")
    return invalid(errors)


def from_http_exception(error: HTTPException) -> APIError:
    """A refusal for what Starlette or FastAPI raised."""
    if error.status_code == 400:
        return ValidationError(str(error.detail))
    kind = OF_STATUS.get(error.status_code, APIError if error.status_code >= 500 else ValidationError)
    return kind(0) if kind is RateLimited else kind()


def allowed_methods(routes: Sequence[BaseRoute], scope: Any) -> list[str]:
    """Every method that some route has for this path; Starlette names those of the first route only."""
    matching = (route for route in routes if route.matches(scope)[0] is not Match.NONE)
    methods = {method for route in matching for method in getattr(route, "methods", None) or ()}
    return sorted(methods | ({"HEAD"} if "GET" in methods else set()))


def log_cause(refusal: APIError) -> None:
    """Of what a client can do nothing about, such as a database that is away, note what stands behind it."""
    cause = refusal.__cause__
    if refusal.status >= 500 and cause is not None:
        first = getattr(cause, "orig", None) or cause
        logger.warning(
            "%s because of %s: %s", refusal.code, type(first).__name__, str(first).partition("\n")[0][:MAX_CAUSE_LENGTH]
        )
