"""The outermost middleware. It is plain ASGI: one `BaseHTTPMiddleware` of Starlette costs more than a query."""

import time
from typing import Any

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.http.client_address import Networks, request_scheme
from gateway.http.request_state import RequestState, create_request_state
from gateway.http.responses import Header, decode_headers, encode_headers
from gateway.limits.headers import build_headers
from gateway.observability.logging import log_request
from gateway.observability.metrics.recorder import MetricsRecorder

SECURITY_HEADERS = encode_headers(
    [
        (b"x-content-type-options", b"nosniff"),
        (b"x-frame-options", b"DENY"),
        (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
        (b"referrer-policy", b"strict-origin-when-cross-origin"),
        (b"cross-origin-opener-policy", b"same-origin"),
        (b"cross-origin-resource-policy", b"same-origin"),
    ]
)
"""The last two keep responses out of other sites' processes (Spectre). They do not affect CORS."""
SECURITY_HEADERS_HTTPS = SECURITY_HEADERS + encode_headers([(b"strict-transport-security", b"max-age=31536000")])
"""Without `includeSubDomains`: subdomains may belong to others."""
WRITE_RESPONSE_EXTENSION = "gateway.write_response"
"""The ASGI extension of our server that writes a whole response if it is the request's turn."""


class RequestStateMiddleware:
    """Creates the request's state, writes its log line, and adds the common headers to its response.

    Handles HEAD as GET, without sending the body.
    """

    def __init__(self, app: ASGIApp, recorder: MetricsRecorder, proxies: Networks | None = None) -> None:
        """`proxies`: trusted for the request's scheme; None for no `Strict-Transport-Security`."""
        self.app, self.recorder, self.proxies = app, recorder, proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        started, state, original_scope = time.perf_counter(), create_request_state(scope), scope
        if scope["method"] == "HEAD":
            scope, send, state.send_body = {**scope, "method": "GET"}, drop_body(send), False
        try:
            await self.app(scope, receive, ResponseSender(scope, state, send, self.common_headers(scope)))
        finally:
            seconds = time.perf_counter() - started
            self.recorder.record_request(scope, state, seconds)
            log_request(original_scope, state, seconds)

    def common_headers(self, scope: Scope) -> bytes:
        if self.proxies is None or request_scheme(HTTPConnection(scope), self.proxies) != "https":
            return SECURITY_HEADERS
        return SECURITY_HEADERS_HTTPS


class ResponseSender:
    """The `send` of a request. Adds the common headers, and records the start of the response."""

    __slots__ = "common_headers", "scope", "send", "state"

    def __init__(self, scope: Scope, state: RequestState, send: Send, common_headers: bytes) -> None:
        self.scope, self.state, self.send, self.common_headers = scope, state, send, common_headers

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.state.start_response(message["status"])
            message["headers"] = add_common_headers(message.get("headers", ()), self.state, self.common_headers)
        await self.send(message)

    def send_whole(self, status: int, head: bytes, body: bytes) -> bool:
        """Write a response at once, without ASGI messages. Return False if the server cannot."""
        state = self.state
        write = self.scope.get("extensions", {}).get(WRITE_RESPONSE_EXTENSION)
        if write is None or state.response_headers:  # they may contain a client's text, which the server must validate
            return False
        request_id = b"x-request-id: %b\r\n" % state.request_id.encode()
        lines = head, build_headers(state.limit_statuses), self.common_headers, request_id
        if not write(self.scope, status, lines, body):
            return False
        state.start_response(status)
        return True


def add_common_headers(headers: Any, state: RequestState, common_headers: bytes) -> list[Header]:
    """Return the headers of a response with the common ones, which do not replace its own."""
    names = {name for name, _ in headers}
    common = [*state.response_headers, *decode_headers(build_headers(state.limit_statuses) + common_headers)]
    return [*headers, *[pair for pair in common if pair[0] not in names], (b"x-request-id", state.request_id.encode())]


def drop_body(send: Send) -> Send:
    async def send_without_body(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return send_without_body
