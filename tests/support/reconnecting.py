"""Followers that come back whenever their connection ends, and go on after the event that they heard last."""

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, NoReturn

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from tests.support.accounts import Account
from tests.support.feeds import Feed
from tests.support.proxy import Proxy
from tests.support.subscribers import PROTOCOL

RECONNECT_DELAY_SECONDS = 0.05
"""Seconds until it comes back."""
CREATED = "subscription($since: ID) { postEvents(since: $since, types: [CREATED]) { id postId } }"


class ReconnectingSubscriber(ABC):
    """Follows the posts that are created."""

    def __init__(self, proxy: Proxy, viewer: Account) -> None:
        self.proxy, self.viewer = proxy, viewer
        self.received: list[tuple[int, str]] = []
        """The id of each event and of its post, in the order in which they came."""
        self.cursor = 0
        self.connected = asyncio.Event()
        """Set while the server has said that it listens."""
        self.drop_count = 0

    @abstractmethod
    async def run_once(self) -> None:
        """Until the connection ends, or breaks."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator["ReconnectingSubscriber"]:
        task = asyncio.create_task(self.reconnect_forever())
        try:
            yield self
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def reconnect_forever(self) -> NoReturn:
        while True:
            with suppress(OSError, httpx.TransportError, WebSocketException):
                await self.run_once()
            self.connected.clear()
            await asyncio.sleep(RECONNECT_DELAY_SECONDS)

    async def drop(self, server: str) -> None:
        """Break the connection, once there is one; the next is to that server."""
        broken = 0
        while not broken:
            await self.connected.wait()
            self.connected.clear()
            self.proxy.server = server
            broken = self.proxy.cut()
        self.drop_count += broken

    def record(self, event: dict[str, Any]) -> None:
        self.cursor = int(event["id"])
        self.received.append((self.cursor, event["postId"]))

    async def wait_for(self, cursor: int) -> None:
        while self.cursor < cursor:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.05)


class FeedSubscriber(ReconnectingSubscriber):
    """Of `GET /api/events`."""

    async def run_once(self) -> None:
        headers = {**self.viewer.headers, "Last-Event-ID": str(self.cursor)}
        query = {"types": "post.created"}
        async with (
            httpx.AsyncClient(base_url=self.proxy.address, timeout=30) as http,
            http.stream("GET", "/api/events", params=query, headers=headers) as response,
        ):
            assert response.status_code == 200, await response.aread()
            feed = Feed(response)
            while (frame := await feed.frame(patience=30)) is not None:
                self.take(frame.data)

    def take(self, output: dict[str, Any] | None) -> None:
        match output and output["type"]:
            case "connected":
                self.connected.set()
            case "post.created":
                self.record(output)
            case other:
                assert other is None, output


class WebSocketSubscriber(ReconnectingSubscriber):
    """Of a GraphQL subscription over a WebSocket."""

    async def run_once(self) -> None:
        address = self.proxy.address.replace("http", "ws") + "/graphql"
        async with connect(address, subprotocols=[PROTOCOL], close_timeout=1) as socket:
            await send(socket, type="connection_init", payload={"authorization": self.viewer.headers["Authorization"]})
            assert json.loads(await socket.recv()) == {"type": "connection_ack"}
            payload = {"query": CREATED, "variables": {"since": str(self.cursor)}}
            await send(socket, id="1", type="subscribe", payload=payload)
            self.connected.set()
            async for text in socket:
                await self.take(socket, json.loads(text))

    async def take(self, socket: Any, message: dict[str, Any]) -> None:
        if message["type"] == "ping":
            await send(socket, type="pong")
            return
        assert message["type"] == "next", message
        assert "errors" not in message["payload"], message
        self.record(message["payload"]["data"]["postEvents"])


async def send(socket: Any, **message: Any) -> None:
    await socket.send(json.dumps(message))
