"""Subscriptions over HTTP: one response that lasts until the client, the session or the server ends."""

import asyncio
from contextlib import suppress

from starlette.types import Receive, Scope, Send

from gateway.auth.session_monitor import MonitoredSession, SessionMonitor
from gateway.events.feed import get_abort, wait_for_disconnect
from gateway.events.subscriber import body_message
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
    """The response of a subscription. It reads one event at a time, so nothing is queued for a slow client."""

    def __init__(
        self,
        subscription: Subscription,
        format: StreamFormat,
        ctx: RequestContext,
        monitor: SessionMonitor,
        streams: OpenStreams,
    ) -> None:
        self.subscription, self.format, self.ctx = subscription, format, ctx
        self.monitor, self.streams = monitor, streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = get_request_state(scope)
        with self.streams.open(state.caller):
            state.stream = self.format.name
            headers = [(b"content-type", self.format.media_type.encode()), *HEADERS]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            if not state.send_body:
                return await send(body_message(b"", last=True))
            login_session = self.monitor.watch(self.ctx.session_id, self.ctx.viewer, self.ctx.expires_at)
            try:
                last = await self.stream(login_session, receive, send)
                if last is not None:
                    await send_with_timeout(send(body_message(last, last=True)))
            except TimeoutError:
                get_abort(scope)()
            finally:
                login_session.close()

    async def stream(self, login_session: MonitoredSession, receive: Receive, send: Send) -> bytes | None:
        """Send events until the stream ends. Return its last chunk, or None if the client has disconnected."""
        sending = asyncio.create_task(self.send_events(login_session, send), name="send subscription events")
        disconnect = asyncio.create_task(wait_for_disconnect(receive), name="wait for disconnect")
        ends = sending, disconnect, login_session.revoked, self.streams.draining
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sending.cancel()
            disconnect.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.wait((sending, disconnect))
        if login_session.revoked.done():
            return self.format.error(self.error_body(login_session.revoked.result()))
        if self.streams.is_draining:
            return self.format.shutdown(self.error_body(Unavailable("The server is shutting down; connect again")))
        return None if sending.cancelled() else sending.result()

    async def send_events(self, login_session: MonitoredSession, send: Send) -> bytes:
        """Send events, and heartbeats in between. Return the last chunk if the cursor has expired."""
        await send_with_timeout(send(body_message(self.format.start(self.subscription.cursor))))
        while True:
            try:
                async with asyncio.timeout(self.format.heartbeat_interval):
                    chunk = self.format.next(await self.subscription.next(lambda: login_session.viewer))
            except TimeoutError:
                chunk = self.format.heartbeat(self.subscription.cursor)
            except CursorExpired as error:
                return self.format.error(self.error_body(error))
            await send_with_timeout(send(body_message(chunk)))

    def error_body(self, error: APIError) -> bytes:
        return build_response(None, [error], None, self.ctx.request_id).body
