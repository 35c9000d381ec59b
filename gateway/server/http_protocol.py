"""Connections, as uvicorn keeps them, that a request can break, and write to without going through every layer."""

import asyncio
import re
from collections.abc import Awaitable, Iterable
from typing import Any

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from gateway.events.feed import CUT, DIRECT
from gateway.http.middleware.concurrency import ADMITTED, STATE
from gateway.http.middleware.request_state import WHOLE
from gateway.http.responses import written
from gateway.server.memory import CROWD
from gateway.server.timeouts import IdleTimeout

MAX_HEAD_BYTES = 64 * 1024
"""Size of a request line and headers."""
MAX_TRAILER_BYTES = 8 * 1024
"""Size of chunk extensions and trailers between two pieces of a body. The application sees none of them."""

HOST = re.compile(rb"(\[[\w:.%~-]+\]|[\w.~!$&'()*+;=%-]*)(:[0-9]*)?")
"""A name or an address, as they stand in URLs, and a port. Commas are left out: what is two to others is none here."""

PIECE = 4096
"""Bytes that are parsed at a time. So many requests may be in what was read before the first of them is answered."""


class PipelineFlowControl(FlowControl):
    """Uvicorn reads on whenever a request asks for its body, or has its answer, however many others wait."""

    held = False

    def resume_reading(self) -> None:
        if not self.held:
            super().resume_reading()

    def hold(self) -> None:
        self.held = True
        self.pause_reading()

    def let_go(self) -> None:
        self.held = False
        self.resume_reading()


class FinalResponseCycle(RequestResponseCycle):
    """A request whose answer is, or may turn out to be, the last of its connection."""

    unmeasured = False
    """Whether the answer ends with the connection, as HTTP/1.0 knows no chunks."""

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start" and not self.response_started:
            message = self.opening(message)
        elif self.unmeasured:
            self.expected_content_length = len(message.get("body", b""))  # uvicorn would have no byte beyond it
        await super().send(message)

    def opening(self, message: Any) -> Any:
        """The body of who waits to be told to send it can not be told from the next request, once they are not."""
        if self.waiting_for_100_continue and self.more_body:
            self.keep_alive = False
        if self.keep_alive:
            return message
        headers = [pair for pair in message.get("headers", ()) if pair[0].lower() != b"connection"]
        if self.scope["http_version"] == "1.0" and not any(name.lower() == b"content-length" for name, _ in headers):
            self.unmeasured, self.chunked_encoding = True, False
        return {**message, "headers": headers}


class HttpProtocol(AutoHTTPProtocol):
    """Lets a request break its connection. To close one waits until its client has read everything, which may be never.

    Without httptools, uvicorn's other protocol does not come by here, and slow followers are closed in uvicorn's way.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        CROWD.came(self.connections)
        self.flow = PipelineFlowControl(transport)
        self.sending, self.reading = IdleTimeout(self.give_up), IdleTimeout(transport.abort)
        self.is_partial, self.in_head = True, True
        """Whether a request has begun to arrive, or its line and headers."""
        self.head = 0
        """Bytes of these; or since there was something of a body. The parser takes any number of either."""
        self.turn: RequestResponseCycle | None = None
        """What is being answered, or was last. Uvicorn knows only what arrived last, which may have to wait."""
        self.rest = b""
        """What has been read, and is looked at once what came before it has begun to be answered."""
        self.refusal: str | None = None
        """What is to be said of the last that arrived, once all before it is answered."""
        self.sending.start()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self.turn = cycle
        if work := self.app_state.get(STATE):
            cycle.scope[ADMITTED] = work.arrive()
            app = self.begin
        super()._start_asgi_task(cycle, app)

    def begin(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """The request's turn has come."""
        self.app_state[STATE].waiting -= 1
        return self.app(scope, receive, send)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.turn is not None and not self.turn.response_complete:
            self.turn.disconnected = True  # uvicorn tells only what arrived last
            self.turn.message_event.set()
        super().connection_lost(exc)
        CROWD.left(self.connections, self.tasks)
        self.part()

    def part(self) -> None:
        """End without waiting for Python's collector: the parser, the request and the waits all refer to this."""
        self.sending.stop()
        self.reading.stop()
        self.pipeline.clear()
        self.parser = self.cycle = self.turn = self.scope = self.sending = self.reading = None
        self.rest = b""

    def data_received(self, data: bytes) -> None:
        """In pieces: a read may hold thousands of requests, of which each costs much more than its bytes."""
        self._unset_keepalive_if_required()
        if self.flow.held:
            self.rest += data
            return
        for start in range(0, len(data), PIECE):
            if self.pipeline:
                self.rest = data[start:]
                break
            if not self.feed(data[start : start + PIECE]):
                return
        if self.pipeline:
            self.flow.hold()
        self.wait(len(data))

    def feed(self, piece: bytes) -> bool:
        """Parse some of what was read. False if nothing that follows may be."""
        self.head += len(piece)  # which is nothing again with the beginning of a head, and with anything of a body
        try:
            self.parser.feed_data(piece)
        except HttpParserError:
            self.send_400_response("Invalid HTTP request received.")
            return False
        except HttpParserUpgrade as found:
            if not self._should_upgrade():
                return self.feed_anew(piece[found.args[0] :])
            self.handle_websocket_upgrade()
            return False
        if self.is_partial and self.head > (MAX_HEAD_BYTES if self.in_head else MAX_TRAILER_BYTES):
            self.send_400_response("The headers are too large")
            return False
        return True

    def feed_anew(self, rest: bytes) -> bool:
        """Parse a head again without its `Upgrade`, and what follows. The parser would take no body for one.

        Java and curl offer HTTP/2 so with each request, and a server may go on as if they had not (RFC 9110, 7.8).
        """
        head = [b"%b %b HTTP/%b\r\n" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
        head += [b"%b: %b\r\n" % line for line in self.headers if line[0] != b"upgrade"]
        self.parser = HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        return self.feed(b"".join([*head, b"\r\n"])) and self.feed(rest)

    def wait(self, moved: int) -> None:
        """For the end of what has begun to arrive, if something has."""
        if self.is_partial:
            self.sending.start()
            self.sending.bytes_received += moved
        else:
            self.sending.stop()
            self.wait_for_another()

    def wait_for_another(self) -> None:
        """Uvicorn does from an answer to the next byte, which may be that of an empty line, or of an unwanted body."""
        if self.timeout_keep_alive_task is None and self.cycle is not None and self.cycle.response_complete:
            over = self.timeout_keep_alive_handler
            self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, over)

    def on_response_complete(self) -> None:
        """Go on with what has been read once nothing of it waits for its turn any more."""
        super().on_response_complete()
        if not self.flow.held or self.pipeline or self.transport.is_closing():
            return
        if self.refusal is None:
            rest, self.rest = self.rest, b""
            self.flow.let_go()
            self.data_received(rest)
        elif self.is_answered():
            super().send_400_response(self.refusal)

    def is_answered(self) -> bool:
        """Whether all is whose turn has come."""
        return self.turn is None or self.turn.response_complete

    def send_400_response(self, msg: str) -> None:
        """Once all that was asked before is answered, and never within an answer."""
        self.sending.stop()
        has_begun = self.is_partial and self.cycle is not None and self.cycle.scope is self.scope
        if has_begun and not self.abandon(self.cycle):
            self.transport.close()
        elif self.is_answered():
            super().send_400_response(msg)
        else:
            self.refusal, self.rest = msg, b""
            self.flow.hold()

    def abandon(self, cycle: RequestResponseCycle) -> bool:
        """Nothing more comes of a request that has begun. Whether nothing was said of it so far either."""
        if cycle is not self.turn:
            self.pipeline.popleft()
            return True
        if not cycle.response_started:
            cycle.disconnected = cycle.response_complete = True
            cycle.message_event.set()
            return True
        return False

    def give_up(self) -> None:
        """A client that does not finish its request is not waited for; one whose body we do not take yet is."""
        if self.flow.read_paused:
            self.sending.start()
        else:
            self.transport.abort()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.is_partial, self.in_head, self.head = True, True, 0
        self.scope["extensions"] = {CUT: self.transport.abort, DIRECT: self.direct, WHOLE: self.write_whole}

    def on_header(self, name: bytes, value: bytes) -> None:
        """What comes after a body is no header: it would be one that nothing has looked at (RFC 9110, 6.5.1)."""
        if self.in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """What is raised here is answered with 400."""
        self.check_head()
        if self.parser.should_upgrade() and not self._should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise ValueError
            return  # it will be parsed anew
        super().on_headers_complete()
        self.in_head, self.head = False, 0
        cycle = self.cycle  # none, where it is a socket's
        if cycle is not None and (cycle.waiting_for_100_continue or not cycle.keep_alive):
            cycle.__class__ = FinalResponseCycle  # uvicorn makes it, and nothing of it has run

    def check_head(self) -> None:
        """One host, that may be one (RFC 9112, 3.2), and no coding of the body but chunks, which HTTP/1.1 has."""
        is_old, hosts, codings = self.parser.get_http_version() != "1.1", [], []
        for name, value in self.headers:
            if name == b"host":
                hosts.append(value)
            elif name == b"transfer-encoding":
                codings.append(value)
        if len(hosts) != 1 and not (is_old and not hosts):
            raise ValueError
        if hosts and not HOST.fullmatch(hosts[0].rstrip(b" \t")):
            raise ValueError
        if codings and (is_old or len(codings) > 1 or codings[0].rstrip(b" \t").lower() != b"chunked"):
            raise ValueError

    def on_body(self, body: bytes) -> None:
        self.head = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        if not self.in_head:
            super().on_message_complete()
            self.is_partial = False

    def handle_websocket_upgrade(self) -> None:
        """From now on it is a socket's. Whoever has not had the answer before would have it in the middle of that."""
        self.is_partial = False
        if self.scope["method"] != "GET":
            return self.send_400_response("A socket is asked for with GET")
        if self.cycle is not None and not self.cycle.response_complete:
            return self.send_400_response("A socket may be asked for once what was asked before is answered")
        super().handle_websocket_upgrade()
        return self.part()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.reading.start()

    def resume_writing(self) -> None:
        super().resume_writing()
        self.reading.stop()

    def direct(self, scope: Scope) -> Send | None:
        """How uvicorn sends to the request of that scope, if that is the one being answered."""
        return self.turn.send if self.turn is not None and self.turn.scope is scope else None

    def write_whole(self, scope: Scope, status: int, head: Iterable[bytes], body: bytes) -> bool:
        """Write all of an answer, if it is the turn of that scope's request and nothing is in the way.

        Through uvicorn's `send`, which looks at each header, an answer costs as much as the rest of a short request.
        """
        cycle = self.turn
        if cycle is None or cycle.scope is not scope or not cycle.keep_alive or self.flow.write_paused:
            return False
        if cycle.response_started or cycle.disconnected or (cycle.waiting_for_100_continue and cycle.more_body):
            return False
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        ours = written(self.server_state.default_headers)
        self.transport.write(b"".join([STATUS_LINE[status], ours, *head, b"\r\n", body]))
        cycle.message_event.set()
        cycle.on_response()
        return True
