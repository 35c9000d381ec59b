"""Thousands of followers in a few processes, each as cheap as a client can be: it keeps what it hears, and when."""

import asyncio
import multiprocessing
import re
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import SynchronizedArray
from typing import Any

import uvloop

AT_ONCE = 100
"""Followers that a process connects together."""
PATIENCE = 60.0
MARK = b"data: {"
FRAME = re.compile(rb"id: (\d+)\n(?:event: next\n)?" + MARK)


class Follower(asyncio.Protocol):
    """One stream."""

    __slots__ = ("count", "heard", "opened", "request", "times")

    def __init__(self, request: bytes, opened: "asyncio.Future[None]", count: Callable[[int], None]) -> None:
        self.request, self.opened, self.count = request, opened, count
        self.heard: list[bytes] = []
        self.times: list[float] = []

    def connection_made(self, transport: Any) -> None:
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.heard.append(data)
        self.times.append(time.monotonic())
        if self.opened.done():
            self.count(data.count(MARK))
        elif b"\n\n" in data.partition(b"\r\n\r\n")[2] or data.endswith(b"\n\n\r\n"):
            self.forget()
            self.opened.set_result(None)

    def forget(self) -> None:
        self.heard.clear()
        self.times.clear()

    def receipts(self) -> list[tuple[int, float]]:
        """The id of each event, and when it was there."""
        ends = list(accumulate(map(len, self.heard)))
        found = FRAME.finditer(b"".join(self.heard))
        return [(int(match[1]), self.times[bisect_right(ends, match.end() - 1)]) for match in found]


@dataclass
class Crowd:
    """The processes, and how many events their followers have heard."""

    pipes: list[Connection]
    tally: SynchronizedArray

    @property
    def heard(self) -> int:
        return sum(self.tally)

    def wait_for(self, count: int) -> None:
        until = time.monotonic() + PATIENCE
        while self.heard < count and time.monotonic() < until:
            time.sleep(0.001)

    def receipts(self) -> list[list[tuple[int, float]]]:
        """What each follower heard; asked once, at the end."""
        for pipe in self.pipes:
            pipe.send("report")
        return [each for pipe in self.pipes for each in pipe.recv()]


@contextmanager
def crowd(port: int, request: bytes, followers: int, processes: int) -> Iterator[Crowd]:
    """All of them connected and heard, until the scope is left."""
    context = multiprocessing.get_context("spawn")
    tally = context.Array("q", processes, lock=False)
    pipes = []
    for number in range(processes):
        share = followers // processes + (number < followers % processes)
        ours, theirs = context.Pipe()
        context.Process(target=run, args=(theirs, port, request, share, tally, number), daemon=True).start()
        pipes.append(ours)
    for pipe in pipes:
        assert pipe.recv() == "connected"
    try:
        yield Crowd(pipes, tally)
    finally:
        for pipe in pipes:
            pipe.send("leave")


def run(pipe: Connection, port: int, request: bytes, followers: int, tally: Any, number: int) -> None:
    uvloop.run(gathered(pipe, port, request, followers, tally, number))


async def gathered(pipe: Connection, port: int, request: bytes, followers: int, tally: Any, number: int) -> None:
    def count(frames: int) -> None:
        tally[number] += frames

    loop = asyncio.get_running_loop()
    crowd: list[Follower] = []
    while len(crowd) < followers:
        some = [Follower(request, loop.create_future(), count) for _ in range(min(AT_ONCE, followers - len(crowd)))]
        await asyncio.gather(*(loop.create_connection(lambda each=each: each, "127.0.0.1", port) for each in some))
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*(each.opened for each in some))
        crowd += some
    pipe.send("connected")
    while await asyncio.to_thread(pipe.recv) == "report":
        pipe.send([each.receipts() for each in crowd])
