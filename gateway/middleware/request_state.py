"""What surrounds every request, as plain ASGI: each layer of the framework's own kind would cost more than a query."""

import logging
import time
from typing import Any

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.http.client_address import Networks, request_scheme
from gateway.http.request_state import RequestState, create_request_state
from gateway.http.responses import decode_headers, encode_headers
from gateway.limits.headers import build_headers
from gateway.observability.logging import log_request
from gateway.observability.metrics.recorder import MetricsRecorder

logger = logging.getLogger("gateway")

SECURITY = encode_headers(
    [
        (b"x-content-type-options", b"nosniff"),
        (b"x-frame-options", b"DENY"),
        (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
        (b"referrer-policy", b"strict-origin-when-cross-origin"),
        (b"cross-origin-opener-policy", b"same-origin"),
        (b"cross-origin-resource-policy", b"same-origin"),
    ]
)
"""The last two keep pages of other sites out of a process that holds what is answered here. CORS goes on as it was."""
SECURITY_HEADERS_HTTPS = SECURITY + encode_headers([(b"strict-transport-security", b"max-age=31536000")])
"""Without `includeSubDomains`: what else is under the name is not ours to decide on."""
WRITE_RESPONSE_EXTENSION = "gateway.whole"
"""Among a request's extensions: writes an answer, if it is that request's turn. Servers other than ours have no such
thing."""


class RequestStateMiddleware:
    """Outermost: gives each request its id and its line in the log, and each answer the headers that all have.

    A HEAD is answered as a GET whose body is not sent.
    """

    def __init__(self, app: ASGIApp, recorder: MetricsRecorder, proxies: Networks | None = None) -> None:
        """`proxies`: who is believed that a request came over TLS; None where browsers are not to insist on that."""
        self.app, self.recorder, self.proxies = app, recorder, proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        started, visit, asked = time.perf_counter(), create_request_state(scope), scope
        if scope["method"] == "HEAD":
            scope, send, visit.send_body = {**scope, "method": "GET"}, drop_body(send), False
        try:
            await self.app(scope, receive, ResponseSender(scope, visit, send, self.common_headers(scope)))
        finally:
            seconds = time.perf_counter() - started
            self.recorder.record_request(scope, visit, seconds)
            log_request(asked, visit, seconds)

    def common_headers(self, scope: Scope) -> bytes:
        """The headers that every answer to such a request has."""
        if self.proxies is None or request_scheme(HTTPConnection(scope), self.proxies) != "https":
            return SECURITY
        return SECURITY_HEADERS_HTTPS


class ResponseSender:
    """How a request is answered: its `send`, which adds what all answers have and notes what becomes of it."""

    __slots__ = "general", "scope", "send", "visit"

    def __init__(self, scope: Scope, visit: RequestState, send: Send, general: bytes) -> None:
        self.scope, self.visit, self.send, self.general = scope, visit, send, general

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.visit.start_response(message["status"])
            message["headers"] = add_common_headers(message.get("headers", ()), self.visit, self.general)
        await self.send(message)

    def send_whole(self, status: int, head: bytes, body: bytes) -> bool:
        """Send an answer at once; False where it has to go by messages, which cost as much as all that made it."""
        write = self.scope.get("extensions", {}).get(WRITE_RESPONSE_EXTENSION)
        if (
            write is None or self.visit.response_headers
        ):  # those may have a stranger's words, and the server looks at them
            return False
        visit = self.visit
        named = b"x-request-id: %b\r\n" % visit.request_id.encode()
        if not write(self.scope, status, (head, build_headers(visit.limit_statuses), self.general, named), body):
            return False
        visit.start_response(status)
        return True


def add_common_headers(headers: Any, visit: RequestState, general: bytes) -> list[tuple[bytes, bytes]]:
    """An answer's headers with those that all answers have; what it says for itself stands."""
    said, ours = (
        {name for name, _ in headers},
        [*visit.response_headers, *decode_headers(build_headers(visit.limit_statuses) + general)],
    )
    return [*headers, *[pair for pair in ours if pair[0] not in said], (b"x-request-id", visit.request_id.encode())]


def drop_body(send: Send) -> Send:
    async def send_without_body(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return send_without_body
