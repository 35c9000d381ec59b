"""One client's socket: what it says is heeded, in turn, and what it asks for runs until it, or the socket, ends."""

import asyncio
import logging
import random
from contextlib import ExitStack, suppress
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from gateway.auth.session_monitor import MonitoredSession
from gateway.events.feed import CUT
from gateway.graphql.engine import GraphQLRequest
from gateway.http.eager_send import taken
from gateway.http.request_state import Visit
from gateway.limits import API, rate_limit_key
from gateway.persisted.client_info import client_of
from gateway.transports.http.parsing import reference_of
from gateway.transports.websocket import messages
from gateway.transports.websocket.connection_init import claimed, closing_for, identify, texts
from gateway.transports.websocket.messages import Closing, Message
from gateway.transports.websocket.operation import Operating
from gateway.wiring import Gateway, get_state
from models import Viewer
from models.errors import Refusal, Unauthorized
from resolvers.context import RequestContext

SILENCE = 15.0
"""Seconds without a word from the client after which it is pinged, and after as many again given up."""
FAREWELL = 3.0
"""Seconds that operations with a single answer have to end when the server goes, or a socket does."""

GOING = "The server is going down; connect again"
OLD = "The socket is old; connect again"
SLOW = "What was sent was not taken; connect again, and resume"

logger = logging.getLogger("gateway.graphql")


class Socket:
    """One client's socket. Each of its operations is a task that waits for room, so nothing gathers for it here."""

    def __init__(self, websocket: WebSocket, visit: Visit) -> None:
        self.websocket, self.visit, self.scope = websocket, visit, websocket.scope
        self.gateway: Gateway = get_state(websocket)
        self.held = ExitStack()
        self.guarded: MonitoredSession | None = None
        """Who is there, once that is acknowledged."""
        self.operations: dict[str, Operating] = {}
        self.tasks: dict[Operating, asyncio.Task[None]] = {}
        self.ending: asyncio.Future[Closing | None] = asyncio.get_running_loop().create_future()
        """Done when the socket is to be closed, and how; or with None when its client has left."""
        self.reads_only = False
        self.begun = 0
        self.client = client_of(websocket.headers)

    @property
    def viewer(self) -> Viewer | None:
        return self.guarded and self.guarded.viewer

    async def run(self) -> None:
        settings, loop = self.gateway.settings, asyncio.get_running_loop()
        lifetime = settings.graphql_socket_lifetime.total_seconds() * random.uniform(0.9, 1)  # noqa: S311 - no secret
        old = loop.call_later(lifetime, self.end, Closing(messages.GOING_AWAY, OLD))
        late = loop.call_later(settings.graphql_init_timeout.total_seconds(), self.expect_initialised)
        self.gateway.streams.draining.add_done_callback(self.leave)
        reading = asyncio.create_task(self.read(), name="socket")
        try:
            await self.part(await self.ending)
        finally:
            old.cancel()
            late.cancel()
            reading.cancel()
            self.gateway.streams.draining.remove_done_callback(self.leave)
            self.held.close()
            await self.stop()

    def end(self, closing: Closing | None) -> None:
        if not self.ending.done():
            self.ending.set_result(closing)

    def leave(self, _: Any) -> None:
        self.end(Closing(messages.GOING_AWAY, GOING))

    def expect_initialised(self) -> None:
        if self.guarded is None:
            self.end(Closing(messages.INIT_TIMEOUT, "Connection initialisation timeout"))

    async def part(self, closing: Closing | None) -> None:
        """Close the socket; when the server goes, after what is under way has been answered."""
        if closing is None:
            return
        if closing.code == messages.GOING_AWAY:
            await self.finish()
        try:
            async with asyncio.timeout(FAREWELL):
                await self.websocket.close(closing.code, closing.reason)
        except TimeoutError:
            self.cut()
        except (WebSocketDisconnect, RuntimeError):
            logger.debug("A client left as its socket was closed")

    def cut(self) -> None:
        self.scope.get("extensions", {}).get(CUT, lambda: None)()

    async def finish(self) -> None:
        """Let operations with a single answer end."""
        if answering := [task for operating, task in self.tasks.items() if not operating.goes_on]:
            await asyncio.wait(answering, timeout=FAREWELL)

    async def stop(self) -> None:
        """Break subscriptions off. What may be writing is waited for, though nobody hears the answer."""
        self.operations.clear()
        for operating in self.tasks:
            self.break_off(operating)
        if self.tasks:
            await asyncio.wait(list(self.tasks.values()))

    async def read(self) -> None:
        """Heed what the client says, one message after another."""
        try:
            while (frame := await self.heard()) is not None:
                await self.heed(messages.read(frame, self.gateway.settings.max_body_bytes))
            self.end(None)
        except Closing as closing:
            self.end(closing)
        except WebSocketDisconnect:
            self.end(None)
        except Exception:
            logger.exception("Socket %s failed", self.visit.request_id)
            self.end(Closing(messages.BROKEN, "Internal server error"))

    async def heard(self) -> dict[str, Any] | None:
        """The next frame, or None from a client that has left. One who says nothing is pinged."""
        with suppress(TimeoutError):
            return await self.frame()
        await self.say(messages.simple(messages.PING))
        try:
            return await self.frame()
        except TimeoutError:
            raise Closing(messages.TERMINATED, "No pong came") from None

    async def frame(self) -> dict[str, Any] | None:
        async with asyncio.timeout(SILENCE):
            frame = await self.websocket.receive()
        return frame if frame["type"] == "websocket.receive" else None

    async def heed(self, message: Message) -> None:
        match message.type:
            case messages.INIT if self.guarded is None:
                await self.initialise(message.payload or {})
            case messages.INIT:
                with closing_for(Unauthorized=messages.TOO_MANY_INITS, RateLimited=messages.TOO_MANY_INITS):
                    await self.renew(message.payload or {})
            case messages.PING:
                await self.say(messages.simple(messages.PONG, message.payload))
            case messages.SUBSCRIBE:
                await self.subscribe(message.id, message.payload or {})
            case messages.COMPLETE:
                self.complete(message.id)

    async def initialise(self, payload: dict[str, Any]) -> None:
        """Learn who is there. From now on the socket counts among its viewer's streams, and ends with their rights."""
        ctx = self.context(self.visit.request_id)
        self.client = self.client if self.client.name else client_of(texts(payload))
        with closing_for(Unauthorized=messages.UNAUTHORIZED, Forbidden=messages.FORBIDDEN):
            await identify(ctx, self.websocket, payload)
            if ctx.viewer is not None:
                self.visit.caller = rate_limit_key(ctx.viewer, "", ctx.key_id)
            self.held.enter_context(self.gateway.streams.open(self.visit.caller))
        self.reads_only = ctx.reads_only
        self.guarded = self.gateway.session_monitor.watch(ctx.session_id, ctx.viewer, ctx.expires_at)
        self.held.callback(self.guarded.close)
        self.guarded.revoked.add_done_callback(self.lose_rights)
        await self.say(messages.simple("connection_ack"))

    def lose_rights(self, ended: "asyncio.Future[Refusal]") -> None:
        self.end(Closing(messages.UNAUTHORIZED, ended.result().message))

    async def renew(self, payload: dict[str, Any]) -> None:
        """Go on with a newer token of the same viewer."""
        await self.gateway.limits.check(API, self.visit.caller, self.visit)
        claims = await claimed(self.gateway, payload)
        if self.viewer is None or claims.viewer.id != self.viewer.id:
            raise Unauthorized
        self.reads_only = claims.reads_only
        self.guarded.renew(claims.expires_at, claims.session_id, claims.viewer)
        await self.say(messages.simple("connection_ack"))

    def context(self, request_id: str) -> RequestContext:
        """The circumstances of an operation that begins now."""
        ctx = self.gateway.context(request_id)
        if self.guarded is not None:
            ctx.viewer, ctx.session_id = self.guarded.viewer, self.guarded.session_id
            ctx.reads_only = self.reads_only
        return ctx

    async def subscribe(self, id: str, payload: dict[str, Any]) -> None:
        if self.guarded is None:
            raise Closing(messages.UNAUTHORIZED, "Unauthorized")
        if id in self.operations:
            raise Closing(messages.ID_TAKEN, f"Subscriber for {id} already exists")
        query, name = payload.get("query") or "", payload.get("operationName") or None
        request = GraphQLRequest(query, payload.get("variables"), name, reference=reference_of(payload, query))
        self.begun += 1
        visit = Visit(f"{self.visit.request_id}.{self.begun}", caller=self.visit.caller, stranger=self.visit.stranger)
        visit.viewer = self.viewer and self.viewer.id
        operating = self.operations[id] = Operating(self, id, request, visit)
        if len(self.operations) > self.gateway.settings.graphql_max_subscriptions:
            return await operating.refuse_one_too_many()
        task = self.tasks[operating] = asyncio.create_task(
            self.operate(operating, payload.get("extensions")), name="operation"
        )
        task.add_done_callback(lambda _: self.tasks.pop(operating, None))
        return None

    async def operate(self, operating: Operating, extensions: Any) -> None:
        try:
            with self.gateway.extract_context(self.websocket.headers, extensions):
                await operating.run()
        except Closing as closing:
            self.end(closing)
        except (WebSocketDisconnect, RuntimeError):
            self.end(None)
        except Exception:
            logger.exception("Operation %s failed", operating.visit.request_id)
            self.end(Closing(messages.BROKEN, "Internal server error"))

    def complete(self, id: str) -> None:
        """The client has heard enough. Ids that nobody knows have ended already."""
        if operating := self.operations.pop(id, None):
            self.break_off(operating)

    def break_off(self, operating: Operating) -> None:
        """What may be writing is left to finish."""
        if not operating.may_write and operating in self.tasks:
            self.tasks[operating].cancel()

    def forget(self, operating: Operating) -> bool:
        known = self.operations.get(operating.id) is operating
        if known:
            del self.operations[operating.id]
        return known

    async def say(self, text: str) -> None:
        """Wait until there is room for it. A client that makes too little of it in time is disconnected."""
        try:
            await taken(self.websocket.send({"type": "websocket.send", "text": text}))
        except TimeoutError:
            raise Closing(messages.TRY_AGAIN_LATER, SLOW) from None
