"""How long tests wait, on machines that may be slow or busy with others."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

PATIENCE = 60.0
"""Seconds for what must come: nobody waits longer than it takes, and only what fails waits that long."""
TICK = 0.005


@asynccontextmanager
async def within(seconds: float) -> AsyncIterator[None]:
    """Bound what a server in this process promises, in its own time: while its loop cannot run, no time passes."""
    async with asyncio.timeout(None) as scope:
        pace = asyncio.create_task(expire(scope, seconds))
        try:
            yield
        finally:
            pace.cancel()


async def expire(scope: asyncio.Timeout, seconds: float) -> None:
    for _ in range(round(seconds / TICK)):
        await asyncio.sleep(TICK)
    scope.reschedule(asyncio.get_running_loop().time())


async def until(holds: Callable[[], Any]) -> None:
    """Wait for what nobody tells of."""
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)
