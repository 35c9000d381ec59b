"""Clients that cost next to nothing themselves, and what became of their requests."""

import asyncio
import random
import time
from collections import defaultdict
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Rush:
    """What became of the requests: by status, the seconds that each took."""

    address: str
    request: bytes
    took: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    idle: list["Line"] = field(default_factory=list)
    retry_after: bool = True
    """Whether each that was turned away was told when to come back."""

    async def line(self) -> "Line":
        while self.idle:
            line = self.idle.pop()
            if not line.transport.is_closing():
                return line
        place = urlsplit(self.address)
        _, line = await asyncio.get_running_loop().create_connection(lambda: Line(self), place.hostname, place.port)
        return line

    async def closed(self, seconds: float, at_once: int, pause: float = 0.0) -> float:
        """So many at once, each after the other: the rate that this comes to. Between two there are up to `pause`
        seconds, by chance, so that they come in step with nobody."""
        until, before = time.monotonic() + seconds, self.count

        async def client() -> None:
            line = await self.line()
            while time.monotonic() < until:
                await line.ask()
                if pause:
                    await asyncio.sleep(random.uniform(0, pause))
            self.idle.append(line)

        await asyncio.gather(*(client() for _ in range(at_once)))
        return (self.count - before) / seconds

    @property
    def count(self) -> int:
        return sum(map(len, self.took.values()))

    def quantile(self, status: int, share: float) -> float:
        ordered = sorted(self.took[status])
        return ordered[int(len(ordered) * share)] if ordered else 0.0

    def forget(self) -> None:
        self.took.clear()


class Line(asyncio.Protocol):
    """A connection that is kept, and carries one request at a time. Answers come with their length."""

    def __init__(self, rush: Rush) -> None:
        self.rush, self.heard, self.done, self.since = rush, b"", None, 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport

    def ask(self) -> "asyncio.Future[None]":
        self.done, self.since = asyncio.get_running_loop().create_future(), time.monotonic()
        self.transport.write(self.rush.request)
        return self.done

    def data_received(self, data: bytes) -> None:
        self.heard += data
        head, found, body = self.heard.partition(b"\r\n\r\n")
        if not found or len(body) < int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]):
            return
        status = int(head[9:12])
        self.rush.took[status].append(time.monotonic() - self.since)
        self.rush.retry_after &= status != 503 or b"retry-after: " in head.lower()
        self.heard = b""
        self.done.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if self.done is not None and not self.done.done():
            self.rush.took[0].append(time.monotonic() - self.since)
            self.done.set_result(None)
