"""`POST /api/chat`: a language model's answer as server-sent events."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import closing
from typing import Any

import orjson
from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.types import Message, Receive, Scope, Send

from gateway.auth.session_monitor import MonitoredSession
from gateway.events.feed import cut
from gateway.http.request_state import visit_of
from gateway.limits.open_streams import OpenStreams
from models.errors import Refusal, Unavailable, UpstreamError

SILENCE = 4.0
"""Seconds that an answer is silent for at most: from then on comments break it. Clients that wait five are common."""
LONGEST = 600.0
"""Seconds that a whole answer may take, for a model that drips and never ends is as bad as one that says nothing."""
STALL = 10.0
"""Seconds that a client may take over what it was sent, before it is disconnected."""
DONE = "[DONE]"


class ChatStream(EventSourceResponse):
    """One answer, for as long as the model, the client and the server last.

    Its head goes out with the first frame or comment, whichever comes first. So what fails within the first `SILENCE`
    is refused with a status of its own, and a model that thinks for longer has begun its answer: what fails after that,
    its very first words included, is an event. So is the end of the session, or of the token, that asked.

    The streaming is sse-starlette's, which would cost the feed too much: of these a viewer has a few an hour.
    """

    def __init__(
        self, words: AsyncGenerator[str, None], streams: OpenStreams, guard: Callable[[], MonitoredSession]
    ) -> None:
        """`guard`: who asks is watched from when the stream begins, and an answer to nobody any more ends."""
        super().__init__(self.frames(), ping=SILENCE, ping_message_factory=ping, sep="\n", send_timeout=STALL)
        self.words, self.streams, self.guard = words, streams, guard
        self.coming: asyncio.Future[str | None] | None = None
        self.has_begun = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.visit = visit_of(scope)
        with self.streams.open(self.visit.caller), closing(self.guard()) as self.guarded:
            self.visit.stream, self.until = "chat", time.monotonic() + LONGEST
            try:
                await super().__call__(scope, receive, self.beginning_late(send))
            except SendTimeoutError:
                cut(scope)()
            finally:
                await self.hang_up()

    def beginning_late(self, send: Send) -> Send:
        """Keeps the answer's head back until there is something to send after it."""
        heads: list[Message] = []
        in_turn = asyncio.Lock()

        async def send_late(message: Message) -> None:
            if message["type"] == "http.response.start":
                return heads.append(message)
            self.has_begun = True
            async with in_turn:
                while heads:
                    await send(heads.pop())
                await send(message)
            return None

        return send_late

    async def frames(self) -> AsyncGenerator[ServerSentEvent, None]:
        try:
            while (words := await self.next()) is not None:
                yield frame({"content": words})
        except Refusal as refusal:
            if not self.has_begun:
                raise
            self.visit.codes = (refusal.code,)
            yield frame({"error": refusal.message, "code": refusal.code}, event="error")
        else:
            yield ServerSentEvent(DONE, sep="\n")

    async def next(self) -> str | None:
        """What the model says next; None once it has said all."""
        self.coming = asyncio.ensure_future(anext(self.words, None))
        ends = self.coming, self.streams.draining, self.guarded.revoked
        left = self.until - time.monotonic()
        await asyncio.wait(ends, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        if self.guarded.revoked.done():
            raise self.guarded.revoked.result()
        if self.coming.done() and left > 0:
            return self.coming.result()
        if self.streams.is_draining:
            raise Unavailable("The server is going down; ask again, and another will answer")
        raise UpstreamError("The language model took too long")

    async def hang_up(self) -> None:
        """Whoever left, the model need not go on."""
        if self.coming:
            self.coming.cancel()
            await asyncio.gather(self.coming, return_exceptions=True)
        await self.words.aclose()


def frame(data: dict[str, Any], event: str | None = None) -> ServerSentEvent:
    return ServerSentEvent(orjson.dumps(data).decode(), event=event, sep="\n")


def ping() -> ServerSentEvent:
    return ServerSentEvent(comment="ping", sep="\n")
