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
from tests.support.subscribers import PROTOCOL
from tests.support.wires import Wire

PAUSE = 0.05
"""Seconds until it comes back."""
CREATED = "subscription($since: ID) { postEvents(since: $since, types: [CREATED]) { id postId } }"


class Returning(ABC):
    """Follows the posts that are created."""

    def __init__(self, wire: Wire, viewer: Account) -> None:
        self.wire, self.viewer = wire, viewer
        self.heard: list[tuple[int, str]] = []
        """The id of each event and of its post, in the order in which they came."""
        self.cursor = 0
        self.greeted = asyncio.Event()
        """Set while the server has said that it listens."""
        self.dropped = 0

    @abstractmethod
    async def follow(self) -> None:
        """Until the connection ends, or breaks."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Returning"]:
        task = asyncio.create_task(self.insist())
        try:
            yield self
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def insist(self) -> NoReturn:
        while True:
            with suppress(OSError, httpx.TransportError, WebSocketException):
                await self.follow()
            self.greeted.clear()
            await asyncio.sleep(PAUSE)

    async def drop(self, server: str) -> None:
        """Break the connection, once there is one; the next is to that server."""
        broken = 0
        while not broken:
            await self.greeted.wait()
            self.greeted.clear()
            self.wire.server = server
            broken = self.wire.cut()
        self.dropped += broken

    def hear(self, event: dict[str, Any]) -> None:
        self.cursor = int(event["id"])
        self.heard.append((self.cursor, event["postId"]))

    async def caught_up(self, cursor: int) -> None:
        while self.cursor < cursor:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.05)


class FeedFollower(Returning):
    """Of `GET /api/events`."""

    async def follow(self) -> None:
        headers = {**self.viewer.headers, "Last-Event-ID": str(self.cursor)}
        query = {"types": "post.created"}
        async with (
            httpx.AsyncClient(base_url=self.wire.address, timeout=30) as http,
            http.stream("GET", "/api/events", params=query, headers=headers) as response,
        ):
            assert response.status_code == 200, await response.aread()
            feed = Feed(response)
            while (frame := await feed.frame(patience=30)) is not None:
                self.take(frame.data)

    def take(self, said: dict[str, Any] | None) -> None:
        match said and said["type"]:
            case "connected":
                self.greeted.set()
            case "post.created":
                self.hear(said)
            case other:
                assert other is None, said


class Subscriber(Returning):
    """Of a GraphQL subscription over a WebSocket."""

    async def follow(self) -> None:
        address = self.wire.address.replace("http", "ws") + "/graphql"
        async with connect(address, subprotocols=[PROTOCOL], close_timeout=1) as socket:
            await say(socket, type="connection_init", payload={"authorization": self.viewer.headers["Authorization"]})
            assert json.loads(await socket.recv()) == {"type": "connection_ack"}
            payload = {"query": CREATED, "variables": {"since": str(self.cursor)}}
            await say(socket, id="1", type="subscribe", payload=payload)
            self.greeted.set()
            async for text in socket:
                await self.take(socket, json.loads(text))

    async def take(self, socket: Any, message: dict[str, Any]) -> None:
        if message["type"] == "ping":
            await say(socket, type="pong")
            return
        assert message["type"] == "next", message
        assert "errors" not in message["payload"], message
        self.hear(message["payload"]["data"]["postEvents"])


async def say(socket: Any, **message: Any) -> None:
    await socket.send(json.dumps(message))
