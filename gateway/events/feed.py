"""`GET /api/events`: the log as server-sent events."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import orjson
from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import AppStatus
from starlette.types import Receive, Scope, Send

from gateway.auth.session_monitor import SessionMonitor
from gateway.events.broadcaster import RESET, Broadcaster
from gateway.events.entry import format_timestamp
from gateway.events.subscriber import Subscriber, Types, body_message
from gateway.http.request_state import get_request_state
from models import utcnow
from models.errors import CursorExpired
from resolvers.context import RequestContext

ABORT_EXTENSION = "gateway.cut"
"""Among a request's extensions: breaks its connection. Servers other than ours have no such thing."""
SEND_EXTENSION = "gateway.direct"
"""Likewise: how to send past the layers around the application, of which each costs and none looks beyond the start."""

AppStatus.disable_automatic_graceful_drain()  # what ends here ends by `OpenStreams`, which says first when to come back


class EventStreamResponse(EventSourceResponse):
    """One follower's stream.

    The headers and the frames are sse-starlette's. Its streaming is not: with its four tasks, a queue and a generator
    for each follower, one process delivered 12,400 events a second to 5,000 of them, and held 40 KiB for each. Here a
    follower is a request that waits to be disconnected, and the hub does the sending.
    """

    media_type = "text/event-stream"

    def __init__(
        self, ctx: RequestContext, hub: Broadcaster, monitor: SessionMonitor, types: Types, after: int | None
    ) -> None:
        """`after`: the id of the last event that the follower has heard, where it comes back."""
        super().__init__((), ping=0)
        self.ctx, self.hub, self.monitor, self.types, self.after = ctx, hub, monitor, types, after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        visit = get_request_state(scope)
        if not visit.send_body:
            await self.start(send)
            await send(body_message(b"", last=True))
            return
        with self.hub.streams.open(visit.caller):
            visit.stream = "feed"
            cursor, opening = await self.connected_frame()
            await self.start(send)
            await send(body_message(opening))
            follower = Subscriber(get_send(scope, send), get_abort(scope), cursor, self.types, self.watch_session())
            await self.follow(follower, receive)

    async def start(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})

    async def connected_frame(self) -> tuple[int, bytes]:
        """Where the stream starts, and what it says of that."""
        present = await self.hub.log.refresh_position()
        if self.after is None:
            return present, connected(present)
        try:
            await self.hub.log.check_cursor(self.after)
        except CursorExpired:
            return present, connected(present) + RESET
        return self.after, connected(self.after)

    def watch_session(self) -> Any:
        return self.monitor.watch(self.ctx.session_id, self.ctx.viewer, self.ctx.expires_at)

    async def follow(self, follower: Subscriber, receive: Receive) -> None:
        """Until the client leaves, or has been told all that it will be."""
        self.hub.add(follower)
        try:
            with suppress(asyncio.CancelledError):
                while (await receive())["type"] != "http.disconnect":
                    pass
        finally:
            self.hub.remove(follower)
            follower.guarded.close()


def connected(cursor: int) -> bytes:
    data = orjson.dumps({"type": "connected", "timestamp": format_timestamp(utcnow())}).decode()
    return ServerSentEvent(data, id=str(cursor), sep="\n").encode()


def get_send(scope: Scope, send: Send) -> Send:
    """The shortest way to a client, once its answer has started."""
    find = scope.get("extensions", {}).get(SEND_EXTENSION)
    return (find and find(scope)) or send


def get_abort(scope: Scope) -> Callable[[], Any]:
    """How to break this request's connection; elsewhere its task is cancelled, and the server closes it in time."""
    task = asyncio.current_task()
    return scope.get("extensions", {}).get(ABORT_EXTENSION) or (task.cancel if task else body_message)
