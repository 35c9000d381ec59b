"""One client's socket: what it says is heeded, in turn, and what it asks for runs until it, or the socket, ends."""

import asyncio
import logging
import random
from contextlib import ExitStack, suppress
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from gateway.auth.session_monitor import MonitoredSession
from gateway.events.feed import ABORT_EXTENSION
from gateway.graphql.engine import GraphQLRequest
from gateway.http.eager_send import send_with_timeout
from gateway.http.request_state import RequestState
from gateway.limits import API, rate_limit_key
from gateway.persisted.client_info import parse_client
from gateway.state import AppState, get_state
from gateway.transports.http.parsing import parse_reference
from gateway.transports.websocket import messages
from gateway.transports.websocket.connection_init import authenticate_token, close_codes, identify, string_values
from gateway.transports.websocket.messages import Message, WebSocketClose
from gateway.transports.websocket.operation import SocketOperation
from models import Viewer
from models.errors import APIError, Unauthorized
from resolvers.context import RequestContext

SILENCE = 15.0
"""Seconds without a word from the client after which it is pinged, and after as many again given up."""
FAREWELL = 3.0
"""Seconds that operations with a single answer have to end when the server goes, or a socket does."""

GOING = "The server is going down; connect again"
OLD = "The socket is old; connect again"
SLOW = "What was sent was not taken; connect again, and resume"

logger = logging.getLogger("gateway.graphql")


class GraphQLWebSocket:
    """One client's socket. Each of its operations is a task that waits for room, so nothing gathers for it here."""

    def __init__(self, websocket: WebSocket, visit: RequestState) -> None:
        self.websocket, self.visit, self.scope = websocket, visit, websocket.scope
        self.gateway: AppState = get_state(websocket)
        self.resources = ExitStack()
        self.guarded: MonitoredSession | None = None
        """Who is there, once that is acknowledged."""
        self.operations: dict[str, SocketOperation] = {}
        self.tasks: dict[SocketOperation, asyncio.Task[None]] = {}
        self.ending: asyncio.Future[WebSocketClose | None] = asyncio.get_running_loop().create_future()
        """Done when the socket is to be closed, and how; or with None when its client has left."""
        self.reads_only = False
        self.operation_count = 0
        self.client = parse_client(websocket.headers)

    @property
    def viewer(self) -> Viewer | None:
        return self.guarded and self.guarded.viewer

    async def run(self) -> None:
        settings, loop = self.gateway.settings, asyncio.get_running_loop()
        lifetime = settings.graphql_socket_lifetime.total_seconds() * random.uniform(0.9, 1)  # noqa: S311 - no secret
        old = loop.call_later(lifetime, self.end, WebSocketClose(messages.GOING_AWAY, OLD))
        late = loop.call_later(settings.graphql_init_timeout.total_seconds(), self.expect_initialised)
        self.gateway.streams.draining.add_done_callback(self.on_shutdown)
        reading = asyncio.create_task(self.read(), name="socket")
        try:
            await self.close(await self.ending)
        finally:
            old.cancel()
            late.cancel()
            reading.cancel()
            self.gateway.streams.draining.remove_done_callback(self.on_shutdown)
            self.resources.close()
            await self.cancel_operations()

    def end(self, closing: WebSocketClose | None) -> None:
        if not self.ending.done():
            self.ending.set_result(closing)

    def on_shutdown(self, _: Any) -> None:
        self.end(WebSocketClose(messages.GOING_AWAY, GOING))

    def expect_initialised(self) -> None:
        if self.guarded is None:
            self.end(WebSocketClose(messages.INIT_TIMEOUT, "Connection initialisation timeout"))

    async def close(self, closing: WebSocketClose | None) -> None:
        """Close the socket; when the server goes, after what is under way has been answered."""
        if closing is None:
            return
        if closing.code == messages.GOING_AWAY:
            await self.wait_for_answers()
        try:
            async with asyncio.timeout(FAREWELL):
                await self.websocket.close(closing.code, closing.reason)
        except TimeoutError:
            self.abort()
        except (WebSocketDisconnect, RuntimeError):
            logger.debug("A client left as its socket was closed")

    def abort(self) -> None:
        self.scope.get("extensions", {}).get(ABORT_EXTENSION, lambda: None)()

    async def wait_for_answers(self) -> None:
        """Let operations with a single answer end."""
        if answering := [task for operating, task in self.tasks.items() if not operating.is_subscription]:
            await asyncio.wait(answering, timeout=FAREWELL)

    async def cancel_operations(self) -> None:
        """Break subscriptions off. What may be writing is waited for, though nobody hears the answer."""
        self.operations.clear()
        for operating in self.tasks:
            self.cancel(operating)
        if self.tasks:
            await asyncio.wait(list(self.tasks.values()))

    async def read(self) -> None:
        """Heed what the client says, one message after another."""
        try:
            while (frame := await self.receive_or_ping()) is not None:
                await self.handle_message(messages.parse_message(frame, self.gateway.settings.max_body_bytes))
            self.end(None)
        except WebSocketClose as closing:
            self.end(closing)
        except WebSocketDisconnect:
            self.end(None)
        except Exception:
            logger.exception("Socket %s failed", self.visit.request_id)
            self.end(WebSocketClose(messages.INTERNAL_ERROR, "Internal server error"))

    async def receive_or_ping(self) -> dict[str, Any] | None:
        """The next frame, or None from a client that has left. One who says nothing is pinged."""
        with suppress(TimeoutError):
            return await self.receive()
        await self.send(messages.encode(messages.PING))
        try:
            return await self.receive()
        except TimeoutError:
            raise WebSocketClose(messages.TERMINATED, "No pong came") from None

    async def receive(self) -> dict[str, Any] | None:
        async with asyncio.timeout(SILENCE):
            frame = await self.websocket.receive()
        return frame if frame["type"] == "websocket.receive" else None

    async def handle_message(self, message: Message) -> None:
        match message.type:
            case messages.INIT if self.guarded is None:
                await self.initialise(message.payload or {})
            case messages.INIT:
                with close_codes(Unauthorized=messages.TOO_MANY_INITS, RateLimited=messages.TOO_MANY_INITS):
                    await self.renew_token(message.payload or {})
            case messages.PING:
                await self.send(messages.encode(messages.PONG, message.payload))
            case messages.SUBSCRIBE:
                await self.subscribe(message.id, message.payload or {})
            case messages.COMPLETE:
                self.complete(message.id)

    async def initialise(self, payload: dict[str, Any]) -> None:
        """Learn who is there. From now on the socket counts among its viewer's streams, and ends with their rights."""
        ctx = self.context(self.visit.request_id)
        self.client = self.client if self.client.name else parse_client(string_values(payload))
        with close_codes(Unauthorized=messages.UNAUTHORIZED, Forbidden=messages.FORBIDDEN):
            await identify(ctx, self.websocket, payload)
            if ctx.viewer is not None:
                self.visit.caller = rate_limit_key(ctx.viewer, "", ctx.key_id)
            self.resources.enter_context(self.gateway.streams.open(self.visit.caller))
        self.reads_only = ctx.reads_only
        self.guarded = self.gateway.session_monitor.watch(ctx.session_id, ctx.viewer, ctx.expires_at)
        self.resources.callback(self.guarded.close)
        self.guarded.revoked.add_done_callback(self.on_session_revoked)
        await self.send(messages.encode("connection_ack"))

    def on_session_revoked(self, ended: "asyncio.Future[APIError]") -> None:
        self.end(WebSocketClose(messages.UNAUTHORIZED, ended.result().message))

    async def renew_token(self, payload: dict[str, Any]) -> None:
        """Go on with a newer token of the same viewer."""
        await self.gateway.limits.check(API, self.visit.caller, self.visit)
        claims = await authenticate_token(self.gateway, payload)
        if self.viewer is None or claims.viewer.id != self.viewer.id:
            raise Unauthorized
        self.reads_only = claims.reads_only
        self.guarded.renew(claims.expires_at, claims.session_id, claims.viewer)
        await self.send(messages.encode("connection_ack"))

    def context(self, request_id: str) -> RequestContext:
        """The circumstances of an operation that begins now."""
        ctx = self.gateway.context(request_id)
        if self.guarded is not None:
            ctx.viewer, ctx.session_id = self.guarded.viewer, self.guarded.session_id
            ctx.reads_only = self.reads_only
        return ctx

    async def subscribe(self, id: str, payload: dict[str, Any]) -> None:
        if self.guarded is None:
            raise WebSocketClose(messages.UNAUTHORIZED, "Unauthorized")
        if id in self.operations:
            raise WebSocketClose(messages.ID_TAKEN, f"Subscriber for {id} already exists")
        query, name = payload.get("query") or "", payload.get("operationName") or None
        request = GraphQLRequest(query, payload.get("variables"), name, reference=parse_reference(payload, query))
        self.operation_count += 1
        visit = RequestState(
            f"{self.visit.request_id}.{self.operation_count}",
            caller=self.visit.caller,
            client_key=self.visit.client_key,
        )
        visit.viewer = self.viewer and self.viewer.id
        operating = self.operations[id] = SocketOperation(self, id, request, visit)
        if len(self.operations) > self.gateway.settings.graphql_max_subscriptions:
            return await operating.refuse_one_too_many()
        task = self.tasks[operating] = asyncio.create_task(
            self.operate(operating, payload.get("extensions")), name="operation"
        )
        task.add_done_callback(lambda _: self.tasks.pop(operating, None))
        return None

    async def operate(self, operating: SocketOperation, extensions: Any) -> None:
        try:
            with self.gateway.extract_context(self.websocket.headers, extensions):
                await operating.run()
        except WebSocketClose as closing:
            self.end(closing)
        except (WebSocketDisconnect, RuntimeError):
            self.end(None)
        except Exception:
            logger.exception("Operation %s failed", operating.visit.request_id)
            self.end(WebSocketClose(messages.INTERNAL_ERROR, "Internal server error"))

    def complete(self, id: str) -> None:
        """The client has heard enough. Ids that nobody knows have ended already."""
        if operating := self.operations.pop(id, None):
            self.cancel(operating)

    def cancel(self, operating: SocketOperation) -> None:
        """What may be writing is left to finish."""
        if not operating.is_executing and operating in self.tasks:
            self.tasks[operating].cancel()

    def release_id(self, operating: SocketOperation) -> bool:
        known = self.operations.get(operating.id) is operating
        if known:
            del self.operations[operating.id]
        return known

    async def send(self, text: str) -> None:
        """Wait until there is room for it. A client that makes too little of it in time is disconnected."""
        try:
            await send_with_timeout(self.websocket.send({"type": "websocket.send", "text": text}))
        except TimeoutError:
            raise WebSocketClose(messages.TRY_AGAIN_LATER, SLOW) from None
