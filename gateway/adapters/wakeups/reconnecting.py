"""Base class of wake-ups over a network connection, which is opened again whenever it breaks."""

import asyncio
import logging
import random
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, ClassVar

from gateway.adapters.wakeups.in_process import noop
from gateway.tasks.periodic import run_in_background

MIN_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 0.1, 5.0
"""Delay before reconnecting: doubles with each failure."""
COALESCE_SECONDS = 0.01
"""Minimum interval between two notifications; everything written in between shares the next one."""
HEARTBEAT_SECONDS = 15.0
"""Idle time after which a notification is sent anyway, to detect a broken connection."""
NETWORK_TIMEOUT_SECONDS = 5.0
DISCONNECTED_POLL_SECONDS = 0.1
"""Interval at which this process polls the log while it is disconnected."""

logger = logging.getLogger("gateway.live")


class ReconnectingWakeup(ABC):
    """A wake-up over a connection. It calls this process's callback directly, so only other processes depend on it."""

    name: ClassVar[str]
    connection_errors: ClassVar[tuple[type[Exception], ...]]
    """Exceptions that mean a broken connection."""

    def __init__(self) -> None:
        self.wake: Callable[[], None] = noop
        self.pending = asyncio.Event()
        self.is_connected = False

    def notify(self) -> None:
        self.wake()
        self.pending.set()

    @asynccontextmanager
    async def listen(self, wake: Callable[[], None]) -> AsyncIterator[None]:
        self.wake = wake
        async with (
            run_in_background(self.stay_connected(), f"wake-ups over {self.name}"),
            run_in_background(self.poll_while_disconnected(), "poll the log while disconnected"),
        ):
            yield

    async def poll_while_disconnected(self) -> None:
        while True:
            await asyncio.sleep(DISCONNECTED_POLL_SECONDS)
            if not self.is_connected:
                self.wake()

    async def stay_connected(self) -> None:
        backoff = MIN_BACKOFF_SECONDS
        while True:
            try:
                await self.run()
            except* self.connection_errors as group:
                log = logger.warning if self.is_connected or backoff == MIN_BACKOFF_SECONDS else logger.debug
                log("Wake-ups over %s lost their connection (%s); reconnecting", self.name, group.exceptions[0])
            except* Exception:
                logger.exception("Wake-ups over %s failed; reconnecting", self.name)
            backoff = MIN_BACKOFF_SECONDS if self.is_connected else min(backoff * 2, MAX_BACKOFF_SECONDS)
            self.is_connected = False
            await asyncio.sleep(backoff * random.uniform(0.5, 1))  # noqa: S311 - jitter, not a secret

    @abstractmethod
    async def run(self) -> Any:
        """Connect, call `on_connected`, then send and receive notifications until the connection breaks."""

    def on_connected(self) -> None:
        """Notify all processes, including this one: notifications were lost while the connection was down."""
        self.is_connected = True
        self.notify()

    async def wait_for_send(self) -> None:
        """Wait until there is something to notify the other processes of, at most `HEARTBEAT_SECONDS`."""
        with suppress(TimeoutError):
            # `wait_for` of Python 3.11 loses a cancellation that arrives together with the event
            async with asyncio.timeout(HEARTBEAT_SECONDS):
                await self.pending.wait()
        self.pending.clear()
