"""The response of `POST /api/chat`: a language model's output as server-sent events."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import closing
from typing import Any

import orjson
from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import AppStatus, SendTimeoutError
from starlette.types import Message, Receive, Scope, Send

from gateway.auth.session_monitor import MonitoredSession
from gateway.events.feed import get_abort
from gateway.http.request_state import get_request_state
from gateway.limits.open_streams import OpenStreams
from models.errors import APIError, Unavailable, UpstreamError

HEARTBEAT_INTERVAL_SECONDS = 4.0
"""The longest silence of a stream before a comment is sent. Clients with a timeout of five seconds are common."""
MAX_STREAM_SECONDS = 600.0
"""The longest duration of a stream, for a model that never stops."""
SEND_TIMEOUT_SECONDS = 10.0
"""How long a client may take to receive an event before it is disconnected."""
DONE = "[DONE]"

AppStatus.disable_automatic_graceful_drain()  # `OpenStreams` ends streams at shutdown, with a last event


class ChatStream(EventSourceResponse):
    """A stream that ends with the model's output, the client, the session or the server, whichever is first.

    The response's headers are delayed until the first event or heartbeat. So an error within the first
    `HEARTBEAT_INTERVAL_SECONDS` has a status of its own; a later one is an `error` event.

    sse-starlette does the streaming. The feed has its own implementation, because it serves thousands of clients.
    """

    def __init__(
        self,
        model_output: AsyncGenerator[str, None],
        streams: OpenStreams,
        watch_session: Callable[[], MonitoredSession],
    ) -> None:
        super().__init__(
            self.iter_events(),
            ping=HEARTBEAT_INTERVAL_SECONDS,
            ping_message_factory=heartbeat,
            sep="\n",
            send_timeout=SEND_TIMEOUT_SECONDS,
        )
        self.model_output, self.streams, self.watch_session = model_output, streams, watch_session
        self.pending: asyncio.Future[str | None] | None = None
        """The model's next output."""
        self.has_started = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.state = get_request_state(scope)
        with self.streams.open(self.state.caller), closing(self.watch_session()) as self.login_session:
            self.state.stream, self.deadline = "chat", time.monotonic() + MAX_STREAM_SECONDS
            try:
                await super().__call__(scope, receive, self.delay_headers(send))
            except SendTimeoutError:
                get_abort(scope)()
            finally:
                await self.close_model()

    def delay_headers(self, send: Send) -> Send:
        """Return a `send` that holds the start message back until there is a body message to follow it."""
        start_messages: list[Message] = []
        lock = asyncio.Lock()  # events and heartbeats are sent by different tasks

        async def send_delayed(message: Message) -> None:
            if message["type"] == "http.response.start":
                return start_messages.append(message)
            self.has_started = True
            async with lock:
                while start_messages:
                    await send(start_messages.pop())
                await send(message)
            return None

        return send_delayed

    async def iter_events(self) -> AsyncGenerator[ServerSentEvent, None]:
        try:
            while (content := await self.next_output()) is not None:
                yield json_event({"content": content})
        except APIError as error:
            if not self.has_started:
                raise
            self.state.codes = (error.code,)
            yield json_event({"error": error.message, "code": error.code}, event="error")
        else:
            yield ServerSentEvent(DONE, sep="\n")

    async def next_output(self) -> str | None:
        """Return the model's next output; None at its end.

        Raises the session's error if it ended, `Unavailable` during shutdown, and `UpstreamError` after the deadline.
        """
        self.pending = asyncio.ensure_future(anext(self.model_output, None))
        futures = self.pending, self.streams.draining, self.login_session.revoked
        timeout = self.deadline - time.monotonic()
        await asyncio.wait(futures, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if self.login_session.revoked.done():
            raise self.login_session.revoked.result()
        if self.pending.done() and timeout > 0:
            return self.pending.result()
        if self.streams.is_draining:
            raise Unavailable("The server is shutting down; send the request again")
        raise UpstreamError("The language model took too long")

    async def close_model(self) -> None:
        """Stop the model, which may still be generating for a client that has left."""
        if self.pending:
            self.pending.cancel()
            await asyncio.gather(self.pending, return_exceptions=True)
        await self.model_output.aclose()


def json_event(data: dict[str, Any], event: str | None = None) -> ServerSentEvent:
    return ServerSentEvent(orjson.dumps(data).decode(), event=event, sep="\n")


def heartbeat() -> ServerSentEvent:
    return ServerSentEvent(comment="ping", sep="\n")
