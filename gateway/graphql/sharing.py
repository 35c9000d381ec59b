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

    async def of(self, key: Hashable, make: Callable[[], Awaitable[Value]]) -> Value:
        task = self.tasks.get(key)
        if task is None:
            task = self.tasks[key] = asyncio.ensure_future(make())
            task.add_done_callback(partial(self.settle, key))
        return task.result() if task.done() else await asyncio.shield(task)

    def settle(self, key: Hashable, task: "asyncio.Task[Value]") -> None:
        """An answer is kept for a moment; who asks after a failure tries again."""
        if task.cancelled() or task.exception():
            self.tasks.pop(key, None)
        else:
            asyncio.get_running_loop().call_later(KEPT, self.tasks.pop, key, None)
