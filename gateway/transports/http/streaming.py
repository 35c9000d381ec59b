"""A subscription over one HTTP response, for as long as client, server and rights last."""

import asyncio
from contextlib import suppress

from starlette.types import Message, Receive, Scope, Send

from gateway.auth.session_monitor import MonitoredSession, SessionMonitor
from gateway.events.feed import get_abort
from gateway.graphql.execution.subscriptions import Subscription
from gateway.graphql.response import build_response
from gateway.http.eager_send import send_with_timeout
from gateway.http.request_state import get_request_state
from gateway.limits.open_streams import OpenStreams
from gateway.transports.http.stream_formats import StreamFormat
from models.errors import APIError, CursorExpired, Unavailable
from resolvers.context import RequestContext

HEADERS = [(b"cache-control", b"no-store"), (b"vary", b"Accept"), (b"x-accel-buffering", b"no")]


class SubscriptionResponse:
    """The response. It asks the log itself, one event at a time, so nothing gathers for a client that is slow."""

    def __init__(
        self,
        subscription: Subscription,
        form: StreamFormat,
        ctx: RequestContext,
        monitor: SessionMonitor,
        streams: OpenStreams,
    ) -> None:
        self.subscription, self.form, self.ctx = subscription, form, ctx
        self.monitor, self.streams = monitor, streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        visit = get_request_state(scope)
        with self.streams.open(visit.caller):
            visit.stream = self.form.name
            headers = [(b"content-type", self.form.media_type.encode()), *HEADERS]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            if not visit.send_body:
                return await send(body_message(b"", last=True))
            guarded = self.monitor.watch(self.ctx.session_id, self.ctx.viewer, self.ctx.expires_at)
            try:
                last = await self.stream(guarded, receive, send)
                if last is not None:
                    await send_with_timeout(send(body_message(last, last=True)))
            except TimeoutError:
                get_abort(scope)()
            finally:
                guarded.close()

    async def stream(self, guarded: MonitoredSession, receive: Receive, send: Send) -> bytes | None:
        """Tell the client what comes, until something ends that; the last it is told, or None if it left."""
        telling = asyncio.create_task(self.send_events(guarded, send), name="subscription")
        leaving = asyncio.create_task(wait_for_disconnect(receive), name="client's leaving")
        ends = telling, leaving, guarded.revoked, self.streams.draining
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await cancel_tasks(telling, leaving)
        if guarded.revoked.done():
            return self.form.error(self.errors(guarded.revoked.result()))
        if self.streams.is_draining:
            return self.form.shutdown(self.errors(Unavailable("The server is going down; connect again")))
        return None if telling.cancelled() else telling.result()

    async def send_events(self, guarded: MonitoredSession, send: Send) -> bytes:
        """Every event as it comes, and in between that the stream stands; what to say where the log gives out."""
        await send_with_timeout(send(body_message(self.form.start(self.subscription.cursor))))
        while True:
            try:
                async with asyncio.timeout(self.form.heartbeat_interval):
                    said = self.form.next(await self.subscription.next(lambda: guarded.viewer))
            except TimeoutError:
                said = self.form.heartbeat(self.subscription.cursor)
            except CursorExpired as refusal:
                return self.form.error(self.errors(refusal))
            await send_with_timeout(send(body_message(said)))

    def errors(self, refusal: APIError) -> bytes:
        """A response with nothing but the refusal."""
        return build_response(None, [refusal], None, self.ctx.request_id).body


def body_message(body: bytes, *, last: bool = False) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": not last}


async def wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def cancel_tasks(*tasks: asyncio.Task) -> None:
    for task in tasks:
        task.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.wait(tasks)
