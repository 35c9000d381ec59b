"""Connections, as uvicorn keeps them, that a request can break, and write to without going through every layer."""

import asyncio
import logging
from collections.abc import Awaitable, Iterable
from typing import Any

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets import http11

from gateway.crowds import CROWD
from gateway.live.feed import CUT, DIRECT
from gateway.middleware import WHOLE
from gateway.overload import ADMITTED, STATE
from gateway.patience import MOST_HEAD, Patience
from gateway.responses import written

logger = logging.getLogger("gateway.connections")
logger.setLevel(logging.WARNING)  # uvicorn would note each socket in three lines, its query string in one of them

http11.MAX_LINE_LENGTH = 32 * 1024
"""A browser sends all cookies in one line, and a session of Auth.js may take several: 8 KiB were too few."""


class Connection(AutoHTTPProtocol):
    """Lets a request break its connection. To close one waits until its client has read everything, which may be never.

    Without httptools, uvicorn's other protocol does not come by here, and slow followers are closed in uvicorn's way.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        CROWD.came(self.connections)
        self.sending, self.reading = Patience(self.give_up), Patience(transport.abort)
        self.is_partial, self.in_head, self.head = True, True, 0
        """Whether a request has begun to arrive, or its line and headers, of which the parser takes any number."""
        self.sending.begin()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if work := self.app_state.get(STATE):
            cycle.scope[ADMITTED] = work.arrive()
            app = self.begin
        super()._start_asgi_task(cycle, app)

    def begin(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """The request's turn has come."""
        self.app_state[STATE].waiting -= 1
        return self.app(scope, receive, send)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        CROWD.left(self.connections, self.tasks)
        self.part()

    def part(self) -> None:
        """End without waiting for Python's collector: the parser, the request and the waits all refer to this."""
        self.sending.close()
        self.reading.close()
        self.pipeline.clear()
        self.parser = self.cycle = self.scope = None

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self.is_partial:
            return self.sending.end()
        if self.in_head:
            self.head += len(data)
        if self.head > MOST_HEAD:
            self.send_400_response("The headers are too large")
        elif not self.transport.is_closing():
            self.sending.begin()
            self.sending.moved += len(data)
        return None

    def give_up(self) -> None:
        """A client that does not finish its request is not waited for; one whose body we do not take yet is."""
        if self.flow.read_paused:
            self.sending.begin()
        else:
            self.transport.abort()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.is_partial, self.in_head, self.head = True, True, 0
        self.scope["extensions"] = {CUT: self.transport.abort, DIRECT: self.direct, WHOLE: self.write_whole}

    def on_headers_complete(self) -> None:
        """What is raised here uvicorn answers with 400, as RFC 9112 has it for a request of no host, or of two."""
        if self.parser.get_http_version() == "1.1" and [name for name, _ in self.headers].count(b"host") != 1:
            raise ValueError
        super().on_headers_complete()
        self.in_head, self.head = False, 0

    def on_message_complete(self) -> None:
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
        self.reading.begin()

    def resume_writing(self) -> None:
        super().resume_writing()
        self.reading.end()

    def direct(self, scope: Scope) -> Send | None:
        """How uvicorn sends to the request of that scope, if that is the one being answered."""
        return self.cycle.send if self.cycle is not None and self.cycle.scope is scope else None

    def write_whole(self, scope: Scope, status: int, head: Iterable[bytes], body: bytes) -> bool:
        """Write all of an answer, if it is the turn of that scope's request and nothing is in the way.

        Through uvicorn's `send`, which looks at each header, an answer costs as much as the rest of a short request.
        """
        cycle = self.cycle
        if cycle is None or cycle.scope is not scope or not cycle.keep_alive or self.flow.write_paused:
            return False
        if cycle.response_started or cycle.disconnected:
            return False
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        ours = written(self.server_state.default_headers)
        self.transport.write(b"".join([STATUS_LINE[status], ours, *head, b"\r\n", body]))
        cycle.message_event.set()
        cycle.on_response()
        return True


class Socket(WebSocketsSansIOProtocol):
    """The same for WebSockets."""

    def __init__(self, *args: Any, **kw: Any) -> None:
        super().__init__(*args, **kw)
        self.logger = self.conn.logger = logger

    def data_received(self, data: bytes) -> None:
        """Uvicorn leaves who sends too long a handshake without an answer; there is one, if somebody sends it."""
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        CROWD.left(self.connections, self.tasks)

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        if hasattr(self, "scope"):
            self.scope["extensions"][CUT] = self.transport.abort

    async def send(self, message: Any) -> None:
        """An answer instead of a handshake is one too; uvicorn would complain of it."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            self.handshake_complete = True
