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
async def run_in_background(work: Coroutine[Any, Any, None], name: str) -> AsyncIterator[None]:
    """Have work done in a task until the scope is left, which waits for it to have ended."""
    task = asyncio.create_task(work, name=name)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def run_periodically(
    work: Callable[[], Awaitable[Any]], seconds: float, name: str
) -> AbstractAsyncContextManager[None]:
    """Have work done again and again in the scope, with so many seconds between at most.

    What fails is tried again the next time, and keeps nothing else from being done.
    """
    return run_in_background(_periodic_loop(work, seconds, name), name)


async def _periodic_loop(work: Callable[[], Awaitable[Any]], seconds: float, name: str) -> None:
    put_off = 0
    while True:
        await asyncio.sleep(seconds * random.uniform(0.5, 1))  # noqa: S311 - apart from other processes, no secret
        try:
            await work()
            put_off = 0
        except Unavailable:
            put_off += 1
            log_postponed(name, put_off)
        except Exception:
            logger.exception("%s failed; trying again later", name)


def log_postponed(name: str, times: int) -> None:
    """Once is no news, as others tell of an outage; what always ends so, nobody else sees. Ever more rarely told."""
    is_news = times > 1 and times.bit_count() == 1
    logger.log(
        logging.WARNING if is_news else logging.DEBUG,
        "%s waits, as storage or the database is away; %d times in a row now",
        name,
        times,
    )
