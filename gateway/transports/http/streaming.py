"""A subscription over one HTTP response, for as long as client, server and rights last."""

import asyncio
from contextlib import suppress

from starlette.types import Message, Receive, Scope, Send

from gateway.auth.session_monitor import MonitoredSession, SessionMonitor
from gateway.events.feed import cut
from gateway.graphql.execution.subscriptions import Subscription
from gateway.graphql.request import answered
from gateway.http.eager_send import taken
from gateway.http.request_state import visit_of
from gateway.limits.open_streams import OpenStreams
from gateway.transports.http.stream_formats import Form
from models.errors import CursorExpired, Refusal, Unavailable
from resolvers.context import RequestContext

HEADERS = [(b"cache-control", b"no-store"), (b"vary", b"Accept"), (b"x-accel-buffering", b"no")]


class Streamed:
    """The response. It asks the log itself, one event at a time, so nothing gathers for a client that is slow."""

    def __init__(
        self, subscription: Subscription, form: Form, ctx: RequestContext, monitor: SessionMonitor, streams: OpenStreams
    ) -> None:
        self.subscription, self.form, self.ctx = subscription, form, ctx
        self.monitor, self.streams = monitor, streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        visit = visit_of(scope)
        with self.streams.open(visit.caller):
            visit.stream = self.form.name
            headers = [(b"content-type", self.form.media_type.encode()), *HEADERS]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            if not visit.wants_body:
                return await send(piece(b"", last=True))
            guarded = self.monitor.watch(self.ctx.session_id, self.ctx.viewer, self.ctx.expires_at)
            try:
                last = await self.until_the_end(guarded, receive, send)
                if last is not None:
                    await taken(send(piece(last, last=True)))
            except TimeoutError:
                cut(scope)()
            finally:
                guarded.close()

    async def until_the_end(self, guarded: MonitoredSession, receive: Receive, send: Send) -> bytes | None:
        """Tell the client what comes, until something ends that; the last it is told, or None if it left."""
        telling = asyncio.create_task(self.tell(guarded, send), name="subscription")
        leaving = asyncio.create_task(departure(receive), name="client's leaving")
        ends = telling, leaving, guarded.revoked, self.streams.draining
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await stopped(telling, leaving)
        if guarded.revoked.done():
            return self.form.refused(self.errors(guarded.revoked.result()))
        if self.streams.is_draining:
            return self.form.parting(self.errors(Unavailable("The server is going down; connect again")))
        return None if telling.cancelled() else telling.result()

    async def tell(self, guarded: MonitoredSession, send: Send) -> bytes:
        """Every event as it comes, and in between that the stream stands; what to say where the log gives out."""
        await taken(send(piece(self.form.opening(self.subscription.cursor))))
        while True:
            try:
                async with asyncio.timeout(self.form.silence):
                    said = self.form.told(await self.subscription.next(lambda: guarded.viewer))
            except TimeoutError:
                said = self.form.heartbeat(self.subscription.cursor)
            except CursorExpired as refusal:
                return self.form.refused(self.errors(refusal))
            await taken(send(piece(said)))

    def errors(self, refusal: Refusal) -> bytes:
        """A response with nothing but the refusal."""
        return answered(None, [refusal], None, self.ctx.request_id).body


def piece(body: bytes, *, last: bool = False) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": not last}


async def departure(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def stopped(*tasks: asyncio.Task) -> None:
    for task in tasks:
        task.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.wait(tasks)
