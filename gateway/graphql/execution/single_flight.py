"""What many ask for at nearly the same moment is done once."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from typing import Generic, TypeVar

Value = TypeVar("Value")

KEPT = 0.1
"""Seconds for which an answer is given to those who ask a little later: a news' way around those who follow."""


class Shared(Generic[Value]):
    """Answers by what was asked, under way or just given. One who stops waiting takes it from nobody."""

    def __init__(self) -> None:
        self.tasks: dict[Hashable, asyncio.Task[Value]] = {}
        self.waiting: dict[asyncio.Task[Value], list[asyncio.Future[None]]] = {}
        """A future for each who waits: `asyncio.shield` costs several times as much, and there may be thousands."""

    async def run(self, key: Hashable, make: Callable[[], Awaitable[Value]]) -> Value:
        task = self.tasks.get(key)
        if task is None:
            task = self.tasks[key] = asyncio.ensure_future(make())
            self.waiting[task] = []
            task.add_done_callback(partial(self.settle, key))
        if task in self.waiting:
            waiter = task.get_loop().create_future()
            self.waiting[task].append(waiter)
            await waiter
        return task.result()

    def settle(self, key: Hashable, task: "asyncio.Task[Value]") -> None:
        """An answer is kept for a moment; who asks after a failure tries again."""
        if task.cancelled() or task.exception():
            self.tasks.pop(key, None)
        else:
            task.get_loop().call_later(KEPT, self.tasks.pop, key, None)
        for waiter in self.waiting.pop(task):
            if not waiter.done():
                waiter.set_result(None)
