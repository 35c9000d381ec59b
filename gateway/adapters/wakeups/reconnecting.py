"""What brokers beyond this process share: one connection, made again whenever it breaks."""

import asyncio
import logging
import random
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, ClassVar

from gateway.adapters.wakeups.in_process import nobody
from gateway.tasks.periodic import alongside

FIRST, LONGEST = 0.1, 5.0
"""Seconds until a broken connection is made again: twice as many each time, up to the latter."""
APART = 0.01
"""Seconds between words: whatever is written meanwhile shares the next."""
IDLE = 15.0
"""Seconds of silence after which a word is sent anyhow, to find out whether the connection still stands."""
PATIENCE = 5.0
DEAF = 0.1
"""Seconds until this process looks for itself, while nobody can wake it."""

logger = logging.getLogger("gateway.live")


class Upstream(ABC):
    """A broker that is reached over a connection. This process is woken without it; others may have to wait."""

    name: ClassVar[str]
    losses: ClassVar[tuple[type[Exception], ...]]
    """What is raised where the connection breaks."""

    def __init__(self) -> None:
        self.wake: Callable[[], None] = nobody
        self.due = asyncio.Event()
        self.is_connected = False

    def announce(self) -> None:
        self.wake()
        self.due.set()

    @asynccontextmanager
    async def listening(self, wake: Callable[[], None]) -> AsyncIterator[None]:
        self.wake = wake
        async with alongside(self.stay_connected(), f"broker over {self.name}"), alongside(self.look(), "looking"):
            yield

    async def look(self) -> None:
        while True:
            await asyncio.sleep(DEAF)
            if not self.is_connected:
                self.wake()

    async def stay_connected(self) -> None:
        pause = FIRST
        while True:
            try:
                await self.stay()
            except* self.losses as lost:
                log = logger.warning if self.is_connected or pause == FIRST else logger.debug
                log("The wake-ups over %s are lost (%s); connecting again", self.name, lost.exceptions[0])
            except* Exception:
                logger.exception("The wake-ups over %s failed; connecting again", self.name)
            pause = FIRST if self.is_connected else min(pause * 2, LONGEST)
            self.is_connected = False
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - apart from other processes, no secret

    @abstractmethod
    async def stay(self) -> Any:
        """Connect, call `connected`, and pass word on both ways until the connection breaks."""

    def connected(self) -> None:
        """What was said meanwhile was heard by nobody, neither here nor there."""
        self.is_connected = True
        self.announce()

    async def word(self) -> None:
        """Wait until there is something to tell the others, or for long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(IDLE):  # Python 3.11's wait_for loses a cancellation that comes with the event
                await self.due.wait()
        self.due.clear()
