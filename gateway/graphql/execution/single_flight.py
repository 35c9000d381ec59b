"""Concurrent calls for the same key share one execution."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from typing import Generic, TypeVar

Value = TypeVar("Value")

RESULT_LIFETIME_SECONDS = 0.1
"""The time for which later callers get a result: about as long as all subscribers take to reach an event."""


class SingleFlight(Generic[Value]):
    """Executions by key, in progress or just finished. A cancelled caller does not cancel the others' execution."""

    def __init__(self) -> None:
        self.tasks: dict[Hashable, asyncio.Task[Value]] = {}
        self.waiters: dict[asyncio.Task[Value], list[asyncio.Future[None]]] = {}
        """One future for each caller: `asyncio.shield` costs several times as much, and there may be thousands."""

    async def run(self, key: Hashable, execute: Callable[[], Awaitable[Value]]) -> Value:
        """Return the result of the key's execution, and start one if there is none."""
        task = self.tasks.get(key)
        if task is None:
            task = self.tasks[key] = asyncio.ensure_future(execute())
            self.waiters[task] = []
            task.add_done_callback(partial(self._on_done, key))
        if task in self.waiters:
            waiter = task.get_loop().create_future()
            self.waiters[task].append(waiter)
            await waiter
        return task.result()

    def _on_done(self, key: Hashable, task: "asyncio.Task[Value]") -> None:
        """Keep a result for a short time; callers after a failure execute again."""
        if task.cancelled() or task.exception():
            self.tasks.pop(key, None)
        else:
            task.get_loop().call_later(RESULT_LIFETIME_SECONDS, self.tasks.pop, key, None)
        for waiter in self.waiters.pop(task):
            if not waiter.done():
                waiter.set_result(None)
