"""What is worked out once and kept, within bounds."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Executor
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")


class LRUCache(Generic[Value]):
    """The values used last, up to so many and so heavy. `weigh` says how heavy a value is, with its key."""

    def __init__(self, most: int, heaviest: int, weigh: Callable[[Any, Value], int]) -> None:
        self.most, self.max_weight, self.weight_of = most, heaviest, weigh
        self.values: OrderedDict[Hashable, Value] = OrderedDict()
        self.weight = 0
        self.hits, self.misses = 0, 0

    @property
    def entries(self) -> int:
        return len(self.values)

    def get(self, key: Hashable) -> Value | None:
        value = self.values.get(key)
        if value is None:
            self.misses += 1
        else:
            self.hits += 1
            self.values.move_to_end(key)
        return value

    def put(self, key: Hashable, value: Value) -> None:
        self.evict(key)
        self.values[key] = value
        self.weight += self.weight_of(key, value)
        while len(self.values) > self.most or self.weight > self.max_weight:
            self.evict(next(iter(self.values)))

    def evict(self, key: Hashable) -> None:
        value = self.values.pop(key, None)
        if value is not None:
            self.weight -= self.weight_of(key, value)


class AsyncLRUCache(LRUCache[Value]):
    """Values that are made aside, so that what is known already never waits.

    Those who ask at once for what nobody has made yet share one making.
    """

    def __init__(self, executor: Executor, most: int, heaviest: int, weigh: Callable[[Any, Value], int]) -> None:
        super().__init__(most, heaviest, weigh)
        self.executor = executor
        self.making: dict[Hashable, asyncio.Future[Value]] = {}

    async def get_or_create(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """What `get` did not find."""
        making = self.making.get(key)
        if making is None:
            making = self.making[key] = asyncio.get_running_loop().run_in_executor(self.executor, make)
            making.add_done_callback(lambda made: self._on_created(key, made))
        return await asyncio.shield(making)

    def _on_created(self, key: Hashable, made: "asyncio.Future[Value]") -> None:
        del self.making[key]
        if not made.cancelled() and made.exception() is None:
            self.put(key, made.result())
