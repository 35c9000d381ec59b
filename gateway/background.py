"""Work that goes on beside everything else."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

from models.errors import Unavailable

logger = logging.getLogger("gateway.background")


@asynccontextmanager
async def alongside(work: Coroutine[Any, Any, None], name: str) -> AsyncIterator[None]:
    """Have work done in a task until the scope is left, which waits for it to have ended."""
    task = asyncio.create_task(work, name=name)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def now_and_then(work: Callable[[], Awaitable[Any]], seconds: float, name: str) -> AbstractAsyncContextManager[None]:
    """Have work done again and again in the scope, with so many seconds between at most.

    What fails is tried again the next time, and keeps nothing else from being done.
    """
    return alongside(again_and_again(work, seconds, name), name)


async def again_and_again(work: Callable[[], Awaitable[Any]], seconds: float, name: str) -> None:
    while True:
        await asyncio.sleep(seconds * random.uniform(0.5, 1))  # noqa: S311 - apart from other processes, no secret
        try:
            await work()
        except Unavailable:
            logger.debug("%s waits, as storage or the database is away", name)
        except Exception:
            logger.exception("%s failed; trying again later", name)
