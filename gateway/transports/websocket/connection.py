"""One WebSocket connection: its messages are handled in order, and each operation runs in a task of its own."""

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

PING_INTERVAL_SECONDS = 15.0
"""Silence of the client after which it is pinged. After as long without a pong, the connection is closed."""
CLOSE_TIMEOUT_SECONDS = 3.0
"""How long queries and mutations may still run at shutdown, and how long closing a connection may take."""

SHUTDOWN_REASON = "The server is shutting down; connect again"
MAX_AGE_REASON = "The connection has reached its maximum age; connect again"
SLOW_CLIENT_REASON = "The client received too slowly; connect again and resume"

logger = logging.getLogger("gateway.graphql")


class GraphQLWebSocket:
    """A connection. Its operations wait until the client has received what they send, so nothing is queued."""

    def __init__(self, websocket: WebSocket, state: RequestState) -> None:
        self.websocket, self.state, self.scope = websocket, state, websocket.scope
        self.app_state: AppState = get_state(websocket)
        self.resources = ExitStack()
        self.login_session: MonitoredSession | None = None
        """Set once `connection_init` is acknowledged, for anonymous clients too."""
        self.operations: dict[str, SocketOperation] = {}
        self.tasks: dict[SocketOperation, asyncio.Task[None]] = {}
        self.ending: asyncio.Future[WebSocketClose | None] = asyncio.get_running_loop().create_future()
        """Resolves to how the connection is to be closed; None if the client has disconnected."""
        self.reads_only = False
        self.operation_count = 0
        self.client = parse_client(websocket.headers)

    @property
    def viewer(self) -> Viewer | None:
        return self.login_session and self.login_session.viewer

    async def run(self) -> None:
        settings, loop = self.app_state.settings, asyncio.get_running_loop()
        # random, so that connections opened together do not all reconnect together
        lifetime = settings.graphql_socket_lifetime.total_seconds() * random.uniform(0.9, 1)  # noqa: S311 - no secret
        max_age = loop.call_later(lifetime, self.end, WebSocketClose(messages.GOING_AWAY, MAX_AGE_REASON))
        init_timeout = loop.call_later(settings.graphql_init_timeout.total_seconds(), self.check_initialised)
        self.app_state.streams.draining.add_done_callback(self.on_shutdown)
        reading = asyncio.create_task(self.read(), name="read WebSocket messages")
        try:
            await self.close(await self.ending)
        finally:
            max_age.cancel()
            init_timeout.cancel()
            reading.cancel()
            self.app_state.streams.draining.remove_done_callback(self.on_shutdown)
            self.resources.close()
            await self.cancel_operations()

    def end(self, closing: WebSocketClose | None) -> None:
        if not self.ending.done():
            self.ending.set_result(closing)

    def on_shutdown(self, _: Any) -> None:
        self.end(WebSocketClose(messages.GOING_AWAY, SHUTDOWN_REASON))

    def check_initialised(self) -> None:
        if self.login_session is None:
            self.end(WebSocketClose(messages.INIT_TIMEOUT, "Connection initialisation timeout"))

    async def close(self, closing: WebSocketClose | None) -> None:
        """Close the connection. With `GOING_AWAY`, queries and mutations may finish first."""
        if closing is None:
            return
        if closing.code == messages.GOING_AWAY:
            await self.wait_for_answers()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_SECONDS):
                await self.websocket.close(closing.code, closing.reason)
        except TimeoutError:
            self.scope.get("extensions", {}).get(ABORT_EXTENSION, lambda: None)()
        except (WebSocketDisconnect, RuntimeError):
            logger.debug("A client disconnected while its connection was being closed")

    async def wait_for_answers(self) -> None:
        if answering := [task for operation, task in self.tasks.items() if not operation.is_subscription]:
            await asyncio.wait(answering, timeout=CLOSE_TIMEOUT_SECONDS)

    async def cancel_operations(self) -> None:
        """Cancel subscriptions, and wait for queries and mutations although their responses cannot be sent."""
        self.operations.clear()
        for operation in self.tasks:
            self.cancel(operation)
        if self.tasks:
            await asyncio.wait(list(self.tasks.values()))

    async def read(self) -> None:
        try:
            while (frame := await self.receive_or_ping()) is not None:
                await self.handle_message(messages.parse_message(frame, self.app_state.settings.max_body_bytes))
            self.end(None)
        except WebSocketClose as closing:
            self.end(closing)
        except WebSocketDisconnect:
            self.end(None)
        except Exception:
            logger.exception("WebSocket %s failed", self.state.request_id)
            self.end(WebSocketClose(messages.INTERNAL_ERROR, "Internal server error"))

    async def receive_or_ping(self) -> dict[str, Any] | None:
        """Return the next frame, or None if the client has disconnected. A silent client is pinged once."""
        with suppress(TimeoutError):
            return await self.receive()
        await self.send(messages.encode(messages.PING))
        try:
            return await self.receive()
        except TimeoutError:
            raise WebSocketClose(messages.TERMINATED, "No pong was received") from None

    async def receive(self) -> dict[str, Any] | None:
        async with asyncio.timeout(PING_INTERVAL_SECONDS):
            frame = await self.websocket.receive()
        return frame if frame["type"] == "websocket.receive" else None

    async def handle_message(self, message: Message) -> None:
        match message.type:
            case messages.INIT if self.login_session is None:
                await self.initialise(message.payload or {})
            case messages.INIT:
                with close_codes(Unauthorized=messages.TOO_MANY_INITS, RateLimited=messages.TOO_MANY_INITS):
                    await self.renew_token(message.payload or {})
            case messages.PING:
                await self.send(messages.encode(messages.PONG, message.payload))
            case messages.SUBSCRIBE:
                await self.subscribe(message.id, message.payload or {})
            case messages.COMPLETE if operation := self.operations.pop(message.id, None):
                self.cancel(operation)

    async def initialise(self, payload: dict[str, Any]) -> None:
        """Authenticate the client. From now on the connection counts as a stream of its viewer, and is monitored."""
        ctx = self.create_context(self.state.request_id)
        self.client = self.client if self.client.name else parse_client(string_values(payload))
        with close_codes(Unauthorized=messages.UNAUTHORIZED, Forbidden=messages.FORBIDDEN):
            await identify(ctx, self.websocket, payload)
            if ctx.viewer is not None:
                self.state.caller = rate_limit_key(ctx.viewer, "", ctx.key_id)
            self.resources.enter_context(self.app_state.streams.open(self.state.caller))
        self.reads_only = ctx.reads_only
        self.login_session = self.app_state.session_monitor.watch(ctx.session_id, ctx.viewer, ctx.expires_at)
        self.resources.callback(self.login_session.close)
        self.login_session.revoked.add_done_callback(self.on_session_revoked)
        await self.send(messages.encode("connection_ack"))

    def on_session_revoked(self, revoked: "asyncio.Future[APIError]") -> None:
        self.end(WebSocketClose(messages.UNAUTHORIZED, revoked.result().message))

    async def renew_token(self, payload: dict[str, Any]) -> None:
        """Continue with a newer token of the same viewer. Raises `Unauthorized` for any other."""
        await self.app_state.limits.check(API, self.state.caller, self.state)
        claims = await authenticate_token(self.app_state, payload)
        if self.viewer is None or claims.viewer.id != self.viewer.id:
            raise Unauthorized
        self.reads_only = claims.reads_only
        self.login_session.renew(claims.expires_at, claims.session_id, claims.viewer)
        await self.send(messages.encode("connection_ack"))

    def create_context(self, request_id: str) -> RequestContext:
        """Return the context of an operation that starts now."""
        ctx = self.app_state.context(request_id)
        if self.login_session is not None:
            ctx.viewer, ctx.session_id = self.login_session.viewer, self.login_session.session_id
            ctx.reads_only = self.reads_only
        return ctx

    async def subscribe(self, id: str, payload: dict[str, Any]) -> None:
        """Start an operation of any type: the protocol's `subscribe` message carries queries and mutations too."""
        if self.login_session is None:
            raise WebSocketClose(messages.UNAUTHORIZED, "Unauthorized")
        if id in self.operations:
            raise WebSocketClose(messages.ID_TAKEN, f"Subscriber for {id} already exists")
        query, name = payload.get("query") or "", payload.get("operationName") or None
        request = GraphQLRequest(query, payload.get("variables"), name, reference=parse_reference(payload, query))
        self.operation_count += 1
        state = RequestState(
            f"{self.state.request_id}.{self.operation_count}",
            caller=self.state.caller,
            client_key=self.state.client_key,
        )
        state.viewer = self.viewer and self.viewer.id
        operation = self.operations[id] = SocketOperation(self, id, request, state)
        if len(self.operations) > self.app_state.settings.graphql_max_subscriptions:
            return await operation.reject_over_limit()
        work = self.run_operation(operation, payload.get("extensions"))
        task = self.tasks[operation] = asyncio.create_task(work, name="execute operation")
        task.add_done_callback(lambda _: self.tasks.pop(operation, None))
        return None

    async def run_operation(self, operation: SocketOperation, extensions: Any) -> None:
        try:
            with self.app_state.extract_context(self.websocket.headers, extensions):
                await operation.run()
        except WebSocketClose as closing:
            self.end(closing)
        except (WebSocketDisconnect, RuntimeError):
            self.end(None)
        except Exception:
            logger.exception("Operation %s failed", operation.state.request_id)
            self.end(WebSocketClose(messages.INTERNAL_ERROR, "Internal server error"))

    def cancel(self, operation: SocketOperation) -> None:
        """Cancel a subscription. A query or mutation finishes, because it may be writing."""
        if not operation.is_executing and operation in self.tasks:
            self.tasks[operation].cancel()

    def release_id(self, operation: SocketOperation) -> bool:
        """Let the client use the operation's id again. Return False if the client has completed the operation."""
        is_active = self.operations.get(operation.id) is operation
        if is_active:
            del self.operations[operation.id]
        return is_active

    async def send(self, text: str) -> None:
        """Send a message. Raises `WebSocketClose` if the client receives too slowly."""
        try:
            await send_with_timeout(self.websocket.send({"type": "websocket.send", "text": text}))
        except TimeoutError:
            raise WebSocketClose(messages.TRY_AGAIN_LATER, SLOW_CLIENT_REASON) from None
