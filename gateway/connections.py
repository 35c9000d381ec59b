"""Connections, as uvicorn keeps them, that a request can break, and write to without going through every layer."""

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets import http11

from gateway.live.feed import CUT, DIRECT
from gateway.overload import ADMITTED, STATE
from gateway.patience import MOST_HEAD, Patience

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
        self.sending.end()
        self.reading.end()
        super().connection_lost(exc)

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
        self.scope["extensions"] = {CUT: self.transport.abort, DIRECT: self.direct}

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self.in_head, self.head = False, 0

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self.is_partial = False

    def handle_websocket_upgrade(self) -> None:
        """From now on it is a socket's."""
        self.is_partial = False
        super().handle_websocket_upgrade()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.reading.begin()

    def resume_writing(self) -> None:
        super().resume_writing()
        self.reading.end()

    def direct(self, scope: Scope) -> Send | None:
        """How uvicorn sends to the request of that scope, if that is the one being answered."""
        return self.cycle.send if self.cycle is not None and self.cycle.scope is scope else None


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

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        if hasattr(self, "scope"):
            self.scope["extensions"][CUT] = self.transport.abort

    async def send(self, message: Any) -> None:
        """An answer instead of a handshake is one too; uvicorn would complain of it."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            self.handshake_complete = True
