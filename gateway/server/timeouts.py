"""Timeouts and size limits of a connection. uvicorn waits without limit for a client that sends or reads too slowly."""

import asyncio
from collections.abc import Callable

IDLE_TIMEOUT_SECONDS = 20.0
"""Time for a client to send a request, or to make progress with it; and to read a response once it stalls."""
MIN_PROGRESS_BYTES = 20 * 1024
"""Bytes that a client must send within each `IDLE_TIMEOUT_SECONDS` to keep its request alive (1 KiB/s)."""


class IdleTimeout:
    """A restartable timer. Calls `on_timeout` if too few bytes arrive while it runs."""

    __slots__ = ("bytes_received", "on_timeout", "timer")

    def __init__(self, on_timeout: Callable[[], None]) -> None:
        self.on_timeout = on_timeout
        self.timer: asyncio.TimerHandle | None = None
        self.bytes_received = 0

    def start(self) -> None:
        """Start the timer, unless it runs already."""
        if self.timer is None:
            self.bytes_received = 0
            self.timer = asyncio.get_running_loop().call_later(IDLE_TIMEOUT_SECONDS, self.check)

    def check(self) -> None:
        self.timer = None
        if self.bytes_received < MIN_PROGRESS_BYTES:
            self.on_timeout()
        else:
            self.start()

    def stop(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
