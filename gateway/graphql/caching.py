"""What is worked out once and kept, within bounds."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Executor
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")


class Kept(Generic[Value]):
    """The values used last, up to so many and so heavy. Made aside, so that what is known already never waits.

    `weigh` says how heavy a value is; those who ask at once for what nobody has made yet share one making.
    """

    def __init__(self, executor: Executor, most: int, heaviest: int, weigh: Callable[[Any, Value], int]) -> None:
        self.executor, self.most, self.heaviest, self.weigh = executor, most, heaviest, weigh
        self.values: OrderedDict[Hashable, Value] = OrderedDict()
        self.weight = 0
        self.making: dict[Hashable, asyncio.Future[Value]] = {}

    def get(self, key: Hashable) -> Value | None:
        value = self.values.get(key)
        if value is not None:
            self.values.move_to_end(key)
        return value

    async def made(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """What is kept under a key, made first if need be."""
        if (known := self.get(key)) is not None:
            return known
        making = self.making.get(key)
        if making is None:
            making = self.making[key] = asyncio.get_running_loop().run_in_executor(self.executor, make)
            making.add_done_callback(lambda made: self.settle(key, made))
        return await asyncio.shield(making)

    def settle(self, key: Hashable, made: "asyncio.Future[Value]") -> None:
        del self.making[key]
        if not made.cancelled() and made.exception() is None:
            self.keep(key, made.result())

    def keep(self, key: Hashable, value: Value) -> None:
        self.values[key] = value
        self.weight += self.weigh(key, value)
        while len(self.values) > self.most or self.weight > self.heaviest:
            self.weight -= self.weigh(*self.values.popitem(last=False))
