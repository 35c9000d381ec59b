"""Background tasks that end with a scope."""

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
    """Run a coroutine in a task. On leaving the scope, cancel it and wait for its end."""
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
    """Run a function in the background, every `seconds` at most, while in the scope.

    `name`: an imperative for the log, such as "prune events". Failures are logged and retried the next time.
    """
    return run_in_background(_periodic_loop(work, seconds, name), name)


async def _periodic_loop(work: Callable[[], Awaitable[Any]], seconds: float, name: str) -> None:
    failures = 0
    while True:
        await asyncio.sleep(seconds * random.uniform(0.5, 1))  # noqa: S311 - spreads processes, needs no secrecy
        try:
            await work()
            failures = 0
        except Unavailable:
            failures += 1
            log_postponed(name, failures)
        except Exception:
            logger.exception("Failed to %s; the next run tries again", name)


def log_postponed(name: str, failures: int) -> None:
    """Warn on the 2nd, 4th, 8th … failure in a row. A single one is reported elsewhere."""
    level = logging.WARNING if failures > 1 and failures.bit_count() == 1 else logging.DEBUG
    logger.log(level, "Postponed: %s. Storage or the database is unavailable; %d times in a row now", name, failures)
