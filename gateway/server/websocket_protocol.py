"""WebSocket connections: uvicorn's protocol, with responses to failed handshakes and a way to abort a connection."""

import logging
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets import http11

from gateway.events.feed import ABORT_EXTENSION

logger = logging.getLogger("gateway.server.websocket")
logger.setLevel(logging.WARNING)  # uvicorn logs three lines for each connection, one of them with the query string

http11.MAX_LINE_LENGTH = 32 * 1024
"""A browser sends all cookies in one line, and an Auth.js session can take several cookies of 4 KiB each."""


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket connection, with the fixes that its methods name."""

    def __init__(self, *args: Any, **kw: Any) -> None:
        super().__init__(*args, **kw)
        self.logger = self.conn.logger = logger

    def data_received(self, data: bytes) -> None:
        """Send the error response for a handshake that cannot be parsed, which uvicorn leaves unanswered."""
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        if hasattr(self, "scope"):
            self.scope["extensions"][ABORT_EXTENSION] = self.transport.abort

    async def send(self, message: Any) -> None:
        """Mark the handshake as complete after an HTTP error response, or uvicorn logs an error."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            self.handshake_complete = True
