"""What surrounds every request, as plain ASGI: each layer of the framework's own kind would cost more than a query."""

import logging
import time
from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.addresses import Networks, page_scheme
from gateway.errors import refusal_of, refused
from gateway.limits import headers as standing
from gateway.logs import log_request
from gateway.metrics.measures import Measures
from gateway.visits import Visit, begun, visit_of
from models.errors import Refusal

logger = logging.getLogger("gateway")

Headers = tuple[tuple[bytes, bytes], ...]

SECURITY: Headers = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"strict-origin-when-cross-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
"""The last two keep pages of other sites out of a process that holds what is answered here. CORS goes on as it was."""
OVER_TLS = (*SECURITY, (b"strict-transport-security", b"max-age=31536000"))
"""Without `includeSubDomains`: what else is under the name is not ours to decide on."""
CLIENT_CLOSED_REQUEST = 499
"""Logged, after nginx's custom, for a client that left before there was an answer."""


class Visits:
    """Outermost: gives each request its id and its line in the log, and each answer the headers that all have.

    A HEAD is answered as a GET whose body is not sent.
    """

    def __init__(self, app: ASGIApp, measures: Measures, proxies: Networks | None = None) -> None:
        """`proxies`: who is believed that a request came over TLS; None where browsers are not to insist on that."""
        self.app, self.measures, self.proxies = app, measures, proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        started, status = time.perf_counter(), CLIENT_CLOSED_REQUEST
        visit, asked = begun(scope), scope
        if scope["method"] == "HEAD":
            scope, send, visit.wants_body = {**scope, "method": "GET"}, bodiless(send), False

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = with_ours(message.get("headers", ()), visit, self.general(scope))
            await send(message)

        try:
            await self.app(scope, receive, send_with_headers)
        finally:
            seconds = time.perf_counter() - started
            self.measures.visited(scope, visit, status, seconds)
            log_request(asked, visit, status, seconds)

    def general(self, scope: Scope) -> Headers:
        """The headers that every answer to such a request has."""
        if self.proxies is None or page_scheme(HTTPConnection(scope), self.proxies) != "https":
            return SECURITY
        return OVER_TLS


def with_ours(headers: Any, visit: Visit, general: Headers) -> list[tuple[bytes, bytes]]:
    """An answer's headers with those that all answers have; what it says for itself stands."""
    said, ours = {name for name, _ in headers}, [*visit.headers, *standing(visit.standings), *general]
    return [*headers, *[pair for pair in ours if pair[0] not in said], (b"x-request-id", visit.request_id.encode())]


def bodiless(send: Send) -> Send:
    async def send_without_body(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return send_without_body


class TooLarge(HTTPException):
    """Raised while a body is read. It is an HTTPException because FastAPI lets only those pass at that point."""

    def __init__(self) -> None:
        super().__init__(413)


class Guard:
    """Innermost: stops bodies that are too large, and answers for whatever went wrong beneath."""

    def __init__(self, app: ASGIApp, max_body_bytes: int, apart: Mapping[str, int]) -> None:
        self.app, self.max_body_bytes = app, max_body_bytes
        self.apart = apart
        """The bounds of paths that have their own."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        started, most = False, self.apart.get(scope["path"], self.max_body_bytes)

        async def send_noting(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, limited(scope, receive, most), send_noting)
        except ClientDisconnect:
            logger.debug("Request %s was abandoned", visit_of(scope).request_id)
        except Exception as error:
            if started or not isinstance(error, Refusal | HTTPException):
                logger.exception("Request %s failed", visit_of(scope).request_id)
            if not started:
                await refused(scope, refusal_of(error))(scope, receive, send)


def announced(scope: Scope) -> int:
    """A body's length as its sender says; 0 where they do not, or talk nonsense."""
    length = visit_of(scope).given.get(b"content-length", b"")
    return int(length) if length.isdigit() and len(length) < 20 else 0


def limited(scope: Scope, receive: Receive, most: int) -> Receive:
    """Counts a body's bytes as they come; a length that was announced counts before the first of them."""
    seen = 0

    async def receive_counting() -> Message:
        nonlocal seen
        if not seen and announced(scope) > most:
            raise TooLarge
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > most:
            raise TooLarge
        return message

    return receive_counting
