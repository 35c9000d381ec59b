"""HTTP/1.1 connections: parsing with httptools, the order of pipelined requests, timeouts and upgrades."""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser, parse_url
from starlette.types import Scope, Send
from uvicorn import Config
from uvicorn.server import ServerState

from gateway.events.feed import ABORT_EXTENSION, SEND_EXTENSION
from gateway.http.responses import encode_headers
from gateway.middleware.concurrency import ADMITTED, LIFESPAN_KEY
from gateway.middleware.request_state import WRITE_RESPONSE_EXTENSION
from gateway.server.http_validation import (
    MAX_HEAD_BYTES,
    MAX_TRAILER_BYTES,
    check_request_head,
    is_websocket_upgrade,
)
from gateway.server.request_cycle import STATUS_LINES, RequestCycle
from gateway.server.timeouts import IdleTimeout

PARSE_CHUNK_BYTES = 4096
"""Bytes to parse at a time. While requests of one chunk are queued, no more chunks are parsed."""
MAX_BUFFERED_BODY_BYTES = 64 * 1024
"""Size of a body in memory at which the connection is not read further until the application asks for more."""


class HttpProtocol(asyncio.Protocol):
    """A client's connection, which uvicorn creates for `Config(http=...)`.

    uvicorn's own `HttpToolsProtocol` lacks timeouts for slow senders and readers, a bound on pipelined requests, checks
    of `Host` and `Transfer-Encoding`, limits on heads and trailers, bodies beside an unsupported `Upgrade`, and the
    single write. Adding these to it meant to override most of its undocumented attributes. docs/architecture.md names
    the attack or the measured gain behind each part.
    """

    transport: asyncio.Transport
    client: tuple[str, int] | None
    server: tuple[str, int] | None
    scheme: str
    read_timeout: IdleTimeout
    write_timeout: IdleTimeout

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.config, self.server_state, self.app_state = config, server_state, app_state
        self.app = config.loaded_app
        self.loop = _loop or asyncio.get_running_loop()
        self.in_flight = app_state.get(LIFESPAN_KEY)
        self.parser = HttpRequestParser(self)
        self.keep_alive_timer: asyncio.TimerHandle | None = None
        self.writable = asyncio.Event()
        self.writable.set()

        self.url, self.headers, self.expects_continue = b"", [], False
        self.has_incomplete_request, self.is_in_head = True, True
        self.head_size = 0
        """Bytes of the current head, or since the last bytes of a body."""

        self.active: RequestCycle | None = None
        """The request that is being answered, or was answered last."""
        self.latest: RequestCycle | None = None
        """The request that arrived last. Its body may be incomplete."""
        self.queue: deque[RequestCycle] = deque()
        """Requests that arrived while another was active, in their order."""
        self.unparsed = b""
        """Bytes that arrived after the queued requests."""
        self.pending_error: str | None = None
        """Error to answer with once all earlier requests are answered."""
        self.is_read_paused = self.is_pipeline_paused = False

    # Callbacks of the transport and the server

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.server_state.connections.add(self)
        self.client, self.server = get_address(transport, "peername"), get_address(transport, "sockname")
        self.scheme = "https" if transport.get_extra_info("sslcontext") else "http"
        self.read_timeout, self.write_timeout = IdleTimeout(self.on_read_timeout), IdleTimeout(transport.abort)
        self.read_timeout.start()

    def connection_lost(self, exc: Exception | None) -> None:
        self.server_state.connections.discard(self)
        if self.active is not None:
            self.active.disconnect()
        self.writable.set()
        self.release_references()

    def release_references(self) -> None:
        """Break reference cycles, so that the memory is freed at once and not by the garbage collector."""
        self.stop_keep_alive()
        self.read_timeout.stop()
        self.write_timeout.stop()
        self.queue.clear()
        self.unparsed = b""
        del self.parser, self.read_timeout, self.write_timeout
        self.active = self.latest = None

    def data_received(self, data: bytes) -> None:
        self.stop_keep_alive()
        if self.is_pipeline_paused:
            self.unparsed += data
            return
        for start in range(0, len(data), PARSE_CHUNK_BYTES):
            if self.queue:
                self.unparsed = data[start:]
                break
            if not self.parse(data[start : start + PARSE_CHUNK_BYTES]):
                return
        if self.queue:
            self.pause_pipeline()
        self.arm_timeouts(len(data))

    def pause_writing(self) -> None:
        self.writable.clear()
        self.write_timeout.start()

    def resume_writing(self) -> None:
        self.writable.set()
        self.write_timeout.stop()

    def shutdown(self) -> None:
        """Close the connection, after the responses to the requests that have arrived. The server calls this."""
        if self.latest is None or self.latest.is_complete:
            self.transport.close()
        else:
            self.latest.keep_alive = False

    # Timeouts and flow control

    def on_read_timeout(self) -> None:
        """Drop a client that does not finish its request, unless it waits for the server to read on."""
        if self.is_read_paused:
            self.read_timeout.start()
        else:
            self.transport.abort()

    def arm_timeouts(self, bytes_received: int) -> None:
        if self.has_incomplete_request:
            self.read_timeout.start()
            self.read_timeout.bytes_received += bytes_received
        else:
            self.read_timeout.stop()
            if self.latest is not None and self.latest.is_complete:
                self.start_keep_alive()

    def start_keep_alive(self) -> None:
        """Close the connection unless another request begins within uvicorn's `timeout_keep_alive`."""
        if self.keep_alive_timer is None:
            self.keep_alive_timer = self.loop.call_later(self.config.timeout_keep_alive, self.transport.close)

    def stop_keep_alive(self) -> None:
        if self.keep_alive_timer is not None:
            self.keep_alive_timer.cancel()
            self.keep_alive_timer = None

    def pause_reading(self) -> None:
        if not self.is_read_paused:
            self.is_read_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if self.is_read_paused and not self.is_pipeline_paused:
            self.is_read_paused = False
            self.transport.resume_reading()

    def pause_pipeline(self) -> None:
        self.is_pipeline_paused = True
        self.pause_reading()

    def resume_pipeline(self) -> None:
        self.is_pipeline_paused = False
        self.resume_reading()

    # Parsing

    def parse(self, chunk: bytes) -> bool:
        """Parse bytes of the connection. Return False if nothing that follows may be parsed."""
        self.head_size += len(chunk)
        try:
            self.parser.feed_data(chunk)
        except HttpParserError:
            if self.latest is None or self.latest.keep_alive or self.has_incomplete_request:
                self.reject("Invalid HTTP request received.")
            return False  # what follows a request with `Connection: close` is ignored (RFC 9112, 9.6)
        except HttpParserUpgrade as upgrade:
            if is_websocket_upgrade(self.headers):
                self.upgrade_to_websocket()
                return False
            return self.reparse_without_upgrade(chunk[upgrade.args[0] :])
        if self.has_incomplete_request and self.head_size > (MAX_HEAD_BYTES if self.is_in_head else MAX_TRAILER_BYTES):
            self.reject("The headers are too large")
            return False
        return True

    def reparse_without_upgrade(self, rest: bytes) -> bool:
        """Parse a head again without its `Upgrade`, and then the bytes that follow it.

        Java's HttpClient and curl offer HTTP/2 with `Upgrade: h2c`, which a server may ignore (RFC 9110, 7.8). The
        parser stops at such a head as if it had no body. The body would then be taken for the next request.
        """
        head = self.format_head(exclude=b"upgrade")
        self.parser = HttpRequestParser(self)
        return self.parse(head) and self.parse(rest)

    def format_head(self, exclude: bytes = b"") -> bytes:
        version = self.parser.get_http_version().encode()
        line = b"%b %b HTTP/%b\r\n" % (self.parser.get_method(), self.url, version)
        return b"%b%b\r\n" % (line, encode_headers(header for header in self.headers if header[0] != exclude))

    def on_message_begin(self) -> None:
        self.url, self.headers, self.expects_continue = b"", [], False
        self.has_incomplete_request, self.is_in_head, self.head_size = True, True, 0

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header, but no trailer: nothing has checked those (RFC 9110, 6.5.1)."""
        if self.is_in_head:
            name = name.lower()
            if name == b"expect" and value.lower() == b"100-continue":
                self.expects_continue = True
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Start or queue the request. The parser turns exceptions into `HttpParserError`."""
        method, version = self.parser.get_method(), self.parser.get_http_version()
        check_request_head(version, self.headers)
        if self.parser.should_upgrade():
            if method == b"CONNECT":
                raise ValueError("CONNECT is not supported")
            return  # the parser raises HttpParserUpgrade
        self.is_in_head, self.head_size = False, 0
        keep_alive = version != "1.0" and self.parser.should_keep_alive()
        scope = self.create_scope(method, version)
        self.latest = RequestCycle(self, scope, keep_alive=keep_alive, expects_continue=self.expects_continue)
        if self.is_idle:
            self.start_request(self.latest)
        else:
            self.queue.append(self.latest)

    def create_scope(self, method: bytes, version: str) -> Scope:
        url = parse_url(self.url)
        path = url.path.decode("ascii")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": version,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "method": method.decode("ascii"),
            "root_path": "",
            "path": unquote(path) if "%" in path else path,
            "raw_path": url.path,
            "query_string": url.query or b"",
            "headers": self.headers,
            "state": self.app_state.copy(),
            "extensions": {
                ABORT_EXTENSION: self.transport.abort,
                SEND_EXTENSION: self.get_send,
                WRITE_RESPONSE_EXTENSION: self.write_response,
            },
        }

    def on_body(self, body: bytes) -> None:
        self.head_size = 0
        if self.latest.is_complete:
            return
        self.latest.body += body
        if len(self.latest.body) > MAX_BUFFERED_BODY_BYTES:
            self.pause_reading()
        self.latest.changed.set()

    def on_message_complete(self) -> None:
        if self.is_in_head:
            return  # an upgrade, which `parse` handles
        self.has_incomplete_request = False
        if not self.latest.is_complete:
            self.latest.more_body = False
            self.latest.changed.set()

    # The order of requests and responses

    @property
    def is_idle(self) -> bool:
        """True if every request that was started has been answered."""
        return self.active is None or self.active.is_complete

    def start_request(self, cycle: RequestCycle) -> None:
        self.active = cycle
        if self.in_flight is not None:
            cycle.scope[ADMITTED] = self.in_flight.enqueue()
        task = self.loop.create_task(cycle.run(self.app))
        self.server_state.tasks.add(task)
        task.add_done_callback(self.server_state.tasks.discard)

    def on_request_started(self) -> None:
        if self.in_flight is not None:
            self.in_flight.waiting -= 1

    def on_response_complete(self) -> None:
        """Start the next request in the queue, or parse what has arrived meanwhile."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.resume_reading()
        if self.queue:
            self.start_request(self.queue.popleft())
        else:
            self.start_keep_alive()
        if not self.is_pipeline_paused or self.queue:
            return
        if self.pending_error is None:
            data, self.unparsed = self.unparsed, b""
            self.resume_pipeline()
            self.data_received(data)
        elif self.is_idle:
            self.write_error(self.pending_error)

    def reject(self, message: str) -> None:
        """Answer 400 and close the connection, after the responses to earlier requests and never within one."""
        self.read_timeout.stop()
        if self.has_incomplete_request and not self.is_in_head and not self.discard_request(self.latest):
            self.transport.close()
        elif self.is_idle:
            self.write_error(message)
        else:
            self.pending_error, self.unparsed = message, b""
            self.pause_pipeline()

    def discard_request(self, cycle: RequestCycle) -> bool:
        """Drop a request whose body turned out to be invalid. Return False if its response has begun."""
        if cycle is not self.active:
            self.queue.pop()
        elif cycle.is_started:
            return False
        else:
            cycle.disconnect()
            cycle.is_complete = True
        return True

    def write_error(self, message: str) -> None:
        body = message.encode("ascii")
        headers = [
            *self.server_state.default_headers,
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        ]
        self.transport.write(b"%b%b\r\n%b" % (STATUS_LINES[400], encode_headers(headers), body))
        self.transport.close()

    def upgrade_to_websocket(self) -> None:
        """Hand the connection to the WebSocket protocol, unless a response would end up among its frames."""
        self.has_incomplete_request = False
        if self.parser.get_method() != b"GET":
            return self.reject("A WebSocket handshake must be a GET request")
        if self.latest is not None and not self.latest.is_complete:
            return self.reject("A WebSocket handshake must wait for the response to the request before it")
        self.server_state.connections.discard(self)
        protocol = self.config.ws_protocol_class(
            config=self.config, server_state=self.server_state, app_state=self.app_state
        )
        protocol.connection_made(self.transport)
        protocol.data_received(self.format_head())
        self.transport.set_protocol(protocol)
        return self.release_references()

    # Extensions of the ASGI scope

    def get_send(self, scope: Scope) -> Send | None:
        """Return the `send` of the request with that scope, if it is active. It skips the application's middleware."""
        return self.active.send if self.active is not None and self.active.scope is scope else None

    def write_response(self, scope: Scope, status: int, head: Iterable[bytes], body: bytes) -> bool:
        """Write a complete response to the request with that scope. Return False if it must go through `send`."""
        return self.active is not None and self.active.scope is scope and self.active.write_response(status, head, body)


def get_address(transport: asyncio.Transport, name: str) -> tuple[str, int] | None:
    """Return host and port of the connection's `peername` or `sockname`; None for a Unix socket."""
    address = transport.get_extra_info(name)
    return (str(address[0]), int(address[1])) if isinstance(address, tuple) else None
