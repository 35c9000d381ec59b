"""One HTTP request and its response, as the ASGI application sees them."""

import asyncio
import logging
from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Message, Scope

from gateway.http.responses import encode_headers
from gateway.server.http_validation import check_response_header

if TYPE_CHECKING:
    from gateway.server.http_protocol import HttpProtocol

STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
WITHOUT_BODY = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)

logger = logging.getLogger("gateway.server")


class RequestCycle:
    """A request, whose body may still be arriving, and the state of its response.

    Applications use `receive` and `send`, as ASGI specifies, or `write_response` for a complete response.
    """

    __slots__ = (
        "body",
        "changed",
        "expects_continue",
        "has_body",
        "is_chunked",
        "is_complete",
        "is_disconnected",
        "is_started",
        "keep_alive",
        "more_body",
        "protocol",
        "remaining",
        "scope",
    )

    def __init__(self, protocol: "HttpProtocol", scope: Scope, *, keep_alive: bool, expects_continue: bool) -> None:
        self.protocol, self.scope = protocol, scope
        self.keep_alive, self.expects_continue = keep_alive, expects_continue
        self.body, self.more_body = bytearray(), True
        self.changed = asyncio.Event()
        """Set when there is something to receive: a piece of the body, its end, or the end of the exchange."""
        self.is_started = self.is_complete = self.is_disconnected = False
        self.has_body, self.is_chunked = True, False
        self.remaining: int | None = None
        """Bytes of `Content-Length` that are still to be sent; None if the response has no such header."""

    async def run(self, app: ASGIApp) -> None:
        """Run the application. It never leaves the client without a response or an end of the connection."""
        self.protocol.on_request_started()
        try:
            await app(self.scope, self.receive, self.send)
        except asyncio.CancelledError:
            self.protocol.transport.close()
            raise
        except Exception:
            logger.exception("The application raised an exception")
            await self.fail()
        else:
            if not self.is_complete and not self.is_disconnected:
                logger.error("The application returned without completing its response")
                await self.fail()

    async def fail(self) -> None:
        """Answer 500, or close the connection if a response has begun."""
        if self.is_started:
            self.protocol.transport.close()
            return
        body = b"Internal Server Error"
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body))]
        self.keep_alive = False
        await self.send({"type": "http.response.start", "status": 500, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    def disconnect(self) -> None:
        """Tell the application that its client is gone. What it still sends is discarded."""
        if not self.is_complete:
            self.is_disconnected = True
            self.changed.set()

    async def receive(self) -> Message:
        protocol = self.protocol
        if self.expects_continue and not protocol.transport.is_closing():
            protocol.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.expects_continue = False
        if not self.is_disconnected and not self.is_complete:
            protocol.resume_reading()
            await self.changed.wait()
            self.changed.clear()
        if self.is_disconnected or self.is_complete:
            return {"type": "http.disconnect"}
        body, self.body = bytes(self.body), bytearray()
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    async def send(self, message: Message) -> None:
        if not self.is_disconnected and not self.protocol.writable.is_set():
            await self.protocol.writable.wait()
        if self.is_disconnected:
            return
        expected = "http.response.body" if self.is_started else "http.response.start"
        if message["type"] != expected or self.is_complete:
            raise RuntimeError(f"Unexpected ASGI message {message['type']}")
        if self.is_started:
            self.write_body(message.get("body", b""), more_body=message.get("more_body", False))
        else:
            self.write_head(message["status"], message.get("headers", ()))

    def write_head(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Write the status line and headers, and choose how the response ends.

        If the client waits for `100 Continue` and gets this response instead, its body cannot be distinguished from the
        next request, so the connection closes (RFC 9110, 10.1.1). HTTP/1.0 has no chunks: such a response ends with
        its connection.
        """
        if self.expects_continue and self.more_body:
            self.keep_alive = False
        lines = [STATUS_LINES[status], encode_headers(self.protocol.server_state.default_headers)]
        for name, value in headers:
            name = name.lower()
            check_response_header(name, value)
            if name == b"connection":
                self.keep_alive = self.keep_alive and b"close" not in value.lower()
                continue
            if name == b"content-length":
                self.remaining = int(value)
            lines.append(b"%b: %b\r\n" % (name, value))
        self.has_body = self.scope["method"] != "HEAD" and status not in WITHOUT_BODY
        if self.has_body and self.remaining is None and self.scope["http_version"] != "1.0":
            self.is_chunked = True
            lines.append(b"transfer-encoding: chunked\r\n")
        lines.append(b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n")
        self.is_started, self.expects_continue = True, False
        self.protocol.transport.write(b"".join(lines))

    def write_body(self, body: bytes, *, more_body: bool) -> None:
        """Write a piece of the body. Raises `RuntimeError` if the body's size differs from `Content-Length`."""
        if not self.has_body:
            body = b""
        elif self.is_chunked:
            body = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            if not more_body:
                body += b"0\r\n\r\n"
        elif self.remaining is not None:
            self.remaining -= len(body)
            if self.remaining < 0 or (self.remaining and not more_body):
                raise RuntimeError("The response's body and its Content-Length differ")
        if body:
            self.protocol.transport.write(body)
        if not more_body:
            self.complete()

    def write_response(self, status: int, head: Iterable[bytes], body: bytes) -> bool:
        """Write a complete response in one piece. Return False if it must go through `send`.

        `head`: encoded headers that the server itself composed. Saves `send` from parsing, checking and encoding them
        again, which is a quarter of the CPU time of a `{ __typename }` request (`make bench`).
        """
        if not self.keep_alive or self.is_started or self.is_disconnected or not self.protocol.writable.is_set():
            return False
        if self.expects_continue and self.more_body:
            return False
        self.is_started, self.expects_continue = True, False
        common = encode_headers(self.protocol.server_state.default_headers)
        self.protocol.transport.write(b"".join([STATUS_LINES[status], common, *head, b"\r\n", body]))
        self.complete()
        return True

    def complete(self) -> None:
        self.is_complete = True
        self.changed.set()
        if not self.keep_alive:
            self.protocol.transport.close()
        self.protocol.on_response_complete()
