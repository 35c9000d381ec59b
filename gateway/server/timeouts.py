"""How long a connection is waited for, as nobody else would: uvicorn waits for ever for what a client never sends."""

import asyncio
from collections.abc import Callable

PERIOD = 20.0
"""Seconds for all of a request, or for as much of it as makes good progress; and for a client to take an answer."""
PROGRESS = 20 * 1024
"""Bytes of a body that are progress: one kibibyte a second."""
MOST_HEAD = 64 * 1024
"""Bytes of a request's first line and headers."""
MOST_TRAILERS = 8 * 1024
"""Bytes of what may stand between the pieces of a body and after it, which nobody reads."""


class Patience:
    """One wait, begun and ended as often as need be. `over` is called when it has lasted too long."""

    __slots__ = ("moved", "over", "timer")

    def __init__(self, over: Callable[[], None]) -> None:
        self.over = over
        self.timer: asyncio.TimerHandle | None = None
        self.moved = 0

    def begin(self) -> None:
        if self.timer is None:
            self.moved = 0
            self.timer = asyncio.get_running_loop().call_later(PERIOD, self.look)

    def look(self) -> None:
        self.timer = None
        if self.moved < PROGRESS:
            self.over()
        else:
            self.begin()

    def end(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def close(self) -> None:
        """Wait no more, and let go of who is told."""
        self.end()
        self.over = nothing


def nothing() -> None:
    """Nobody is told."""
