"""The responses for errors: one tree of classes (`models/errors.py`), one renderer for each protocol."""

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

from gateway.http.content_negotiation import GRAPHQL_PATH, JSON, accept_header, negotiate
from gateway.http.request_state import get_request_state
from gateway.http.responses import RawResponse, encode_headers
from models.errors import APIError, RateLimited, Unauthorized, Unavailable, ValidationError
from resolvers.inputs import to_validation_error

RETRY_AFTER_SECONDS = 1
"""`Retry-After` of a 503: the service may be back, or another process may respond."""
NO_STORE = b"cache-control: no-store\r\n"
"""Caches may store a 404 or 405 without it, although what is hidden now may be visible a moment later."""

MAX_LOGGED_CAUSE_LENGTH = 300
"""Characters of an error's cause in the log."""

logger = logging.getLogger("gateway")


def iter_error_classes(root: type[APIError]) -> Iterator[type[APIError]]:
    """Yield a class and its subclasses, depth first."""
    yield root
    for subclass in root.__subclasses__():
        yield from iter_error_classes(subclass)


ERRORS_BY_CODE = {error_class.code: error_class for error_class in iter_error_classes(APIError)}
ERRORS_BY_STATUS = {error_class.status: error_class for error_class in reversed([*iter_error_classes(APIError)])}
"""The class for each status that Starlette or FastAPI raises; of several with one status, the first in the tree."""


def rest_body(error: APIError, request_id: str) -> dict[str, Any]:
    """Return `{"error", "code", "details", "requestId"}`; `details` only if there are any."""
    details = {} if error.details is None else {"details": error.details}
    return {"error": error.message, "code": error.code, **details, "requestId": request_id}


def graphql_body(error: APIError, request_id: str) -> dict[str, Any]:
    """Return a GraphQL response with the error's fields in `extensions`."""
    details = {} if error.details is None else {"details": error.details}
    extensions = {"code": error.code, "status": error.status, **details, "requestId": request_id}
    return {"errors": [{"message": error.message, "extensions": extensions}]}


def error_response(scope: Any, error: APIError, headers: dict[str, str] | None = None) -> Response:
    """Return the response for an error, in the format of the request's protocol. Log the cause of a server error."""
    state = get_request_state(scope)
    state.codes = (error.code,)
    log_cause(error)
    if scope["path"] == GRAPHQL_PATH:
        body, media_type = graphql_body(error, state.request_id), negotiate(accept_header(scope)) or JSON
    else:
        body, media_type = rest_body(error, state.request_id), JSON
    head = encode_headers((name.lower().encode(), value.encode()) for name, value in (headers or {}).items())
    return RawResponse(error.status, NO_STORE + error_headers(error) + head, orjson.dumps(body), media_type.encode())


def error_headers(error: APIError) -> bytes:
    if isinstance(error, Unauthorized):
        return b"www-authenticate: Bearer\r\n"
    if isinstance(error, RateLimited):
        return b"retry-after: %d\r\n" % error.details["retryAfter"]
    if isinstance(error, Unavailable):
        return b"retry-after: %d\r\n" % RETRY_AFTER_SECONDS
    return b""


def add_exception_handlers(app: FastAPI) -> None:
    """Render the exceptions of endpoints, FastAPI and Starlette."""

    async def on_api_error(request: HTTPConnection, error: APIError) -> Response:
        return error_response(request.scope, error)

    async def on_validation_error(request: HTTPConnection, error: RequestValidationError) -> Response:
        return error_response(request.scope, from_request_validation_error(error.errors()))

    async def on_http_exception(request: HTTPConnection, error: HTTPException) -> Response:
        headers = dict(error.headers or {})
        if error.status_code == 405:
            headers["Allow"] = ", ".join(allowed_methods(app.routes, request.scope))
        return error_response(request.scope, from_http_exception(error), headers)

    async def on_exception(request: HTTPConnection, error: Exception) -> Response:
        return error_response(request.scope, APIError())

    app.add_exception_handler(Exception, on_exception)
    app.add_exception_handler(APIError, on_api_error)
    app.add_exception_handler(RequestValidationError, on_validation_error)
    app.add_exception_handler(HTTPException, on_http_exception)


def to_api_error(error: Exception) -> APIError:
    """Return the error that a client sees; an unexpected one becomes a 500 without details."""
    if isinstance(error, APIError):
        return error
    return from_http_exception(error) if isinstance(error, HTTPException) else APIError()


def from_request_validation_error(errors: Sequence[Any]) -> ValidationError:
    """Return the error for parameters or a body that FastAPI rejected."""
    if any(error["type"] == "json_invalid" for error in errors):
        return ValidationError.for_fields(body="must be valid JSON")
    return to_validation_error(errors)


def from_http_exception(error: HTTPException) -> APIError:
    """Return the error for an exception of Starlette or FastAPI."""
    if error.status_code == 400:
        return ValidationError(str(error.detail))
    default = APIError if error.status_code >= 500 else ValidationError
    error_class = ERRORS_BY_STATUS.get(error.status_code, default)
    return error_class(0) if error_class is RateLimited else error_class()


def allowed_methods(routes: Sequence[BaseRoute], scope: Any) -> list[str]:
    """Return the methods of all routes that match the path; Starlette names those of the first route only."""
    matching = (route for route in routes if route.matches(scope)[0] is not Match.NONE)
    methods = {method for route in matching for method in getattr(route, "methods", None) or ()}
    return sorted(methods | ({"HEAD"} if "GET" in methods else set()))


def log_cause(error: APIError) -> None:
    """Log the cause of a server error, such as an unreachable database."""
    cause = error.__cause__
    if error.status >= 500 and cause is not None:
        cause = getattr(cause, "orig", None) or cause
        message = str(cause).partition("\n")[0][:MAX_LOGGED_CAUSE_LENGTH]
        logger.warning("%s because of %s: %s", error.code, type(cause).__name__, message)
