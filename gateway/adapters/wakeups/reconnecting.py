"""What brokers beyond this process share: one connection, made again whenever it breaks."""

import asyncio
import logging
import random
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, ClassVar

from gateway.adapters.wakeups.in_process import noop
from gateway.tasks.periodic import run_in_background

MIN_BACKOFF, MAX_BACKOFF = 0.1, 5.0
"""Seconds until a broken connection is made again: twice as many each time, up to the latter."""
COALESCE_INTERVAL = 0.01
"""Seconds between words: whatever is written meanwhile shares the next."""
HEARTBEAT = 15.0
"""Seconds of silence after which a word is sent anyhow, to find out whether the connection still stands."""
PATIENCE = 5.0
DISCONNECTED_POLL = 0.1
"""Seconds until this process looks for itself, while nobody can wake it."""

logger = logging.getLogger("gateway.live")


class ReconnectingWakeup(ABC):
    """A broker that is reached over a connection. This process is woken without it; others may have to wait."""

    name: ClassVar[str]
    connection_errors: ClassVar[tuple[type[Exception], ...]]
    """What is raised where the connection breaks."""

    def __init__(self) -> None:
        self.wake: Callable[[], None] = noop
        self.pending = asyncio.Event()
        self.is_connected = False

    def announce(self) -> None:
        self.wake()
        self.pending.set()

    @asynccontextmanager
    async def listening(self, wake: Callable[[], None]) -> AsyncIterator[None]:
        self.wake = wake
        async with (
            run_in_background(self.stay_connected(), f"broker over {self.name}"),
            run_in_background(self.poll_while_disconnected(), "looking"),
        ):
            yield

    async def poll_while_disconnected(self) -> None:
        while True:
            await asyncio.sleep(DISCONNECTED_POLL)
            if not self.is_connected:
                self.wake()

    async def stay_connected(self) -> None:
        pause = MIN_BACKOFF
        while True:
            try:
                await self.run()
            except* self.connection_errors as lost:
                log = logger.warning if self.is_connected or pause == MIN_BACKOFF else logger.debug
                log("The wake-ups over %s are lost (%s); connecting again", self.name, lost.exceptions[0])
            except* Exception:
                logger.exception("The wake-ups over %s failed; connecting again", self.name)
            pause = MIN_BACKOFF if self.is_connected else min(pause * 2, MAX_BACKOFF)
            self.is_connected = False
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - apart from other processes, no secret

    @abstractmethod
    async def run(self) -> Any:
        """Connect, call `connected`, and pass word on both ways until the connection breaks."""

    def connected(self) -> None:
        """What was said meanwhile was heard by nobody, neither here nor there."""
        self.is_connected = True
        self.announce()

    async def wait_for_send(self) -> None:
        """Wait until there is something to tell the others, or for long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(
                HEARTBEAT
            ):  # Python 3.11's wait_for loses a cancellation that comes with the event
                await self.pending.wait()
        self.pending.clear()
