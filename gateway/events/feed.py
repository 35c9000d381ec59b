"""The response of `GET /api/events`: the event log as server-sent events."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.auth.session_monitor import SessionMonitor
from gateway.events.broadcaster import RESET_FRAME, Broadcaster
from gateway.events.entry import format_timestamp
from gateway.events.subscriber import Subscriber, Types, body_message
from gateway.http.request_state import get_request_state
from models import utcnow
from models.errors import CursorExpired
from resolvers.context import RequestContext

HEADERS = {"Cache-Control": "no-store", "Connection": "keep-alive", "X-Accel-Buffering": "no"}
ABORT_EXTENSION = "gateway.abort"
"""ASGI extension of `gateway.server`: a function that closes the request's connection at once."""
SEND_EXTENSION = "gateway.send"
"""Likewise: a function that returns a `send` past the middleware, which has nothing to do after the response start."""


class EventStreamResponse(Response):
    """One subscriber's stream.

    The request only waits for its client to disconnect; the broadcaster sends. sse-starlette has four tasks, a queue
    and a generator for each stream: with it, one process delivered 12,400 events a second to 5,000 subscribers, and
    used 40 KiB for each.
    """

    media_type = "text/event-stream"

    def __init__(
        self, ctx: RequestContext, broadcaster: Broadcaster, monitor: SessionMonitor, types: Types, after: int | None
    ) -> None:
        """`after` is the id of the last event that the client received; None starts at the newest one."""
        self.status_code, self.background = 200, None
        self.init_headers(HEADERS)
        self.ctx, self.broadcaster, self.monitor, self.types, self.after = ctx, broadcaster, monitor, types, after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = get_request_state(scope)
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        if not state.send_body:
            await send(start)
            await send(body_message(b"", last=True))
            return
        with self.broadcaster.streams.open(state.caller):
            state.stream = "feed"
            cursor, frames = await self.find_start()
            await send(start)
            await send(body_message(frames))
            login_session = self.monitor.watch(self.ctx.session_id, self.ctx.viewer, self.ctx.expires_at)
            subscriber = Subscriber(get_send(scope, send), get_abort(scope), cursor, self.types, login_session)
            self.broadcaster.add(subscriber)
            try:
                with suppress(asyncio.CancelledError):
                    await wait_for_disconnect(receive)
            finally:
                self.broadcaster.remove(subscriber)
                login_session.close()

    async def find_start(self) -> tuple[int, bytes]:
        """Return the cursor at which the stream starts, and its first frames."""
        position = await self.broadcaster.log.refresh_position()
        if self.after is None:
            return position, connected_frame(position)
        try:
            await self.broadcaster.log.check_cursor(self.after)
        except CursorExpired:
            return position, connected_frame(position) + RESET_FRAME
        return self.after, connected_frame(self.after)


def connected_frame(cursor: int) -> bytes:
    data = orjson.dumps({"type": "connected", "timestamp": format_timestamp(utcnow())})
    return b"id: %d\ndata: %b\n\n" % (cursor, data)


async def wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def get_send(scope: Scope, send: Send) -> Send:
    """Return a function that sends the body of a started response without going through the middleware."""
    find = scope.get("extensions", {}).get(SEND_EXTENSION)
    return (find and find(scope)) or send


def get_abort(scope: Scope) -> Callable[[], Any]:
    """Return a function that closes the request's connection. Under another server it cancels the request's task."""
    return scope.get("extensions", {}).get(ABORT_EXTENSION) or asyncio.current_task().cancel
