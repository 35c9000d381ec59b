"""A client of the event feed, like a browser's EventSource."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.support.waiting import TEST_TIMEOUT_SECONDS


@dataclass(slots=True)
class Frame:
    """One frame of a server-sent event stream."""

    id: int | None = None
    data: Any = None
    retry: int | None = None
    comment: str | None = None


@dataclass
class Feed:
    """An open stream."""

    response: httpx.Response
    lines: AsyncIterator[str] = field(init=False)
    connected: Frame = field(default_factory=Frame)

    def __post_init__(self) -> None:
        self.lines = self.response.aiter_lines()

    async def frame(self, patience: float = TEST_TIMEOUT_SECONDS) -> Frame | None:
        """Return the next frame; None once the stream has ended."""
        async with asyncio.timeout(patience):
            frame = Frame()
            async for line in self.lines:
                if not line:
                    return frame
                name, _, value = line.partition(":")
                value = value.removeprefix(" ")
                if name == "data":
                    frame.data = json.loads(value)
                elif name in ("id", "retry"):
                    setattr(frame, name, int(value))
                else:
                    assert name == "", f"unnamed events only, and not {line!r}"
                    frame.comment = value
            return None

    async def event(self, patience: float = TEST_TIMEOUT_SECONDS) -> dict[str, Any]:
        """Return the data of the next event, and check that its id is the frame's."""
        frame = await self.frame(patience)
        assert frame is not None, "the stream has ended"
        assert frame.data["id"] == frame.id
        return frame.data

    async def type(self) -> str:
        return (await self.event())["type"]

    async def types(self, count: int) -> list[str]:
        return [await self.type() for _ in range(count)]

    async def ids(self, count: int) -> list[int]:
        return [(await self.event())["id"] for _ in range(count)]

    async def silence(self, seconds: float = 0.3) -> None:
        """Check that no frame comes. The stream cannot be used after this."""
        with suppress(TimeoutError):
            raise AssertionError(f"there came {await self.frame(seconds)}")


@asynccontextmanager
async def open_feed(
    http: httpx.AsyncClient, path: str, query: dict[str, Any], headers: dict[str, str]
) -> AsyncIterator[Feed]:
    async with http.stream("GET", path, params=query, headers=headers) as response:
        assert response.status_code == 200, await response.aread()
        feed = Feed(response)
        feed.connected = await feed.frame()
        assert feed.connected.data["type"] == "connected"
        yield feed
