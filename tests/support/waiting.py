"""Waiting for conditions, on machines that may be slow or busy."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

TEST_TIMEOUT_SECONDS = 60.0
"""Limit on waiting for something that must happen. Only a failing test waits this long."""
TICK_SECONDS = 0.005


@asynccontextmanager
async def within(seconds: float) -> AsyncIterator[None]:
    """Raise `TimeoutError` if the scope takes longer, in time that a server in this process's event loop sees.

    While the loop is blocked or the machine is busy, no time passes.
    """
    async with asyncio.timeout(None) as scope:
        clock = asyncio.create_task(expire(scope, seconds))
        try:
            yield
        finally:
            clock.cancel()


async def expire(scope: asyncio.Timeout, seconds: float) -> None:
    for _ in range(round(seconds / TICK_SECONDS)):
        await asyncio.sleep(TICK_SECONDS)
    scope.reschedule(asyncio.get_running_loop().time())


async def wait_until(condition: Callable[[], Any]) -> None:
    """Return as soon as the condition is true."""
    async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
        while not condition():  # noqa: ASYNC110 - nothing sets an event when it becomes true
            await asyncio.sleep(0.01)
