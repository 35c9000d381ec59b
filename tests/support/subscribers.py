"""Clients of subscriptions: over a WebSocket, over SSE, and over multipart."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.support.accounts import Account
from tests.support.waiting import TEST_TIMEOUT_SECONDS

PROTOCOL = "graphql-transport-ws"
EVENTS = "subscription($since: ID) { postEvents(since: $since) { id type post { title } } }"


@dataclass(slots=True)
class Event:
    """One server-sent event."""

    name: str | None = None
    id: int | None = None
    data: Any = None
    retry: int | None = None


@dataclass
class Stream:
    """An open response with server-sent events."""

    response: httpx.Response
    lines: AsyncIterator[str] = field(init=False)

    def __post_init__(self) -> None:
        self.lines = self.response.aiter_lines()

    async def event(self) -> Event | None:
        """Return the next event, heartbeats included; None once the stream has ended."""
        event = Event()
        async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
            async for line in self.lines:
                if not line:
                    return event
                name, _, value = line.partition(":")
                value = value.removeprefix(" ")
                if name == "event":
                    event.name = value
                elif name == "data":
                    event.data = json.loads(value) if value else None
                elif name in ("id", "retry"):
                    setattr(event, name, int(value))
        return None

    async def next(self) -> dict[str, Any]:
        """Return the next response."""
        while (event := await self.event()) is not None and event.name is None:
            pass
        assert event is not None, "the stream has ended"
        assert event.name == "next"
        return event.data

    async def next_value(self) -> Any:
        """Return the value of the next response's only field."""
        response = await self.next()
        assert "errors" not in response, response
        (value,) = response["data"].values()
        return value

    async def types(self, count: int) -> list[str]:
        return [(await self.next_value())["type"] for _ in range(count)]

    async def is_silent(self, seconds: float = 0.3) -> bool:
        """Return true if no response comes in time. The stream cannot be used after this."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                return not await self.next()
        return True


@asynccontextmanager
async def open_sse_stream(
    http: httpx.AsyncClient, query: str, viewer: Account | None = None, headers: Any = None, **variables: Any
) -> AsyncIterator[Stream]:
    """Open a subscription over SSE, and wait until it is active."""
    headers = {"Accept": "text/event-stream", **(viewer.headers if viewer else {}), **(headers or {})}
    body = {"query": query, "variables": variables}
    async with http.stream("POST", "/graphql", json=body, headers=headers) as response:
        assert response.status_code == 200, await response.aread()
        stream = Stream(response)
        assert (await stream.event()).id is not None
        yield stream


@dataclass
class Socket:
    """A client of the subprotocol, which does nothing by itself, not even answer pings."""

    connection: ClientConnection
    operation_count: int = 0

    async def send(self, message: Any) -> None:
        await self.connection.send(message if isinstance(message, str | bytes) else json.dumps(message))

    async def receive(self) -> Any:
        async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
            return json.loads(await self.connection.recv())

    async def init(self, viewer: Account | None = None) -> None:
        """Send connection_init and wait for the acknowledgement."""
        payload = {"authorization": f"Bearer {viewer.access_token}"} if viewer else None
        await self.send({"type": "connection_init", "payload": payload})
        assert await self.receive() == {"type": "connection_ack"}

    async def subscribe(self, query: str, id: str | None = None, **variables: Any) -> str:
        self.operation_count += 1
        id = id or str(self.operation_count)
        await self.send({"id": id, "type": "subscribe", "payload": {"query": query, "variables": variables}})
        return id

    async def ping(self) -> None:
        """Wait until the server has read all messages sent so far; their operations may not have started yet."""
        await self.send({"type": "ping"})
        assert await self.receive() == {"type": "pong"}

    async def next_value(self, id: str) -> Any:
        """The value of the next response's only field, which must be to that operation."""
        message = await self.receive()
        assert (message["id"], message["type"]) == (id, "next"), message
        assert "errors" not in message["payload"], message
        (value,) = message["payload"]["data"].values()
        return value

    async def execute(self, query: str, **variables: Any) -> Any:
        """Execute an operation with a single result, and return it."""
        id = await self.subscribe(query, **variables)
        value = await self.next_value(id)
        assert await self.receive() == {"id": id, "type": "complete"}
        return value

    async def error(self, id: str) -> str:
        """Return the code of the operation's `error` message."""
        message = await self.receive()
        assert (message["id"], message["type"]) == (id, "error"), message
        return message["payload"][0]["extensions"]["code"]

    async def execute_with_error(self, query: str) -> str:
        """Return the code of the error in a single result."""
        id = await self.subscribe(query)
        message = await self.receive()
        assert await self.receive() == {"id": id, "type": "complete"}
        return message["payload"]["errors"][0]["extensions"]["code"]

    async def wait_closed(self) -> tuple[int, str]:
        """Wait for the close, and return its code and reason."""
        with suppress(ConnectionClosed):
            async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
                while True:
                    await self.connection.recv()
        return self.connection.close_code, self.connection.close_reason

    async def send_if_open(self, message: Any) -> None:
        with suppress(ConnectionClosed):
            await self.send(message)

    async def receive_until(self, last: Any) -> list[Any]:
        """Return all messages up to this one, or up to the close."""
        received: list[Any] = []
        with suppress(ConnectionClosed):
            while last not in received:
                received.append(await self.receive())
        return received

    async def is_silent(self, seconds: float = 0.3) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                return not await self.connection.recv()
        return True


@asynccontextmanager
async def open_socket(
    address: str, viewer: Account | None = None, *, init: bool = True, protocols: Any = (PROTOCOL,), **options: Any
) -> AsyncIterator[Socket]:
    """Open a socket, and initialise it unless `init` is false."""
    url = address.replace("http", "ws", 1) + "/graphql"
    options = {"close_timeout": 1, "compression": None, **options}
    async with connect(url, subprotocols=list(protocols) or None, **options) as connection:
        client = Socket(connection)
        if init:
            await client.init(viewer)
        yield client
