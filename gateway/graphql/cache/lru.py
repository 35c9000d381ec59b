"""Caches that evict the least recently used entry: the one implementation for every bounded cache of the server."""

import asyncio
import math
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Executor
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")


class LRUCache(Generic[Value]):
    """The most recently used values, bounded in number and in weight. `None` is not a value."""

    def __init__(
        self,
        max_entries: int,
        max_weight: float = math.inf,
        weight_of: Callable[[Any, Value], int] = lambda key, value: 0,
    ) -> None:
        """`weight_of` returns the weight of an entry from its key and value: bytes, characters or tokens."""
        self.max_entries, self.max_weight, self.weight_of = max_entries, max_weight, weight_of
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
        while len(self.values) > self.max_entries or self.weight > self.max_weight:
            self.evict(next(iter(self.values)))

    def evict(self, key: Hashable) -> None:
        value = self.values.pop(key, None)
        if value is not None:
            self.weight -= self.weight_of(key, value)

    def clear(self) -> None:
        self.values.clear()
        self.weight = 0


class AsyncLRUCache(LRUCache[Value]):
    """A cache whose values are created in an executor, so that creating one never delays the event loop.

    Concurrent callers with the same key share one creation.
    """

    def __init__(
        self, executor: Executor, max_entries: int, max_weight: int, weight_of: Callable[[Any, Value], int]
    ) -> None:
        super().__init__(max_entries, max_weight, weight_of)
        self.executor = executor
        self.pending: dict[Hashable, asyncio.Future[Value]] = {}

    async def get_or_create(self, key: Hashable, create: Callable[[], Value]) -> Value:
        """Create a value that `get` did not find."""
        pending = self.pending.get(key)
        if pending is None:
            pending = self.pending[key] = asyncio.get_running_loop().run_in_executor(self.executor, create)
            pending.add_done_callback(lambda created: self._on_created(key, created))
        return await asyncio.shield(pending)

    def _on_created(self, key: Hashable, created: "asyncio.Future[Value]") -> None:
        del self.pending[key]
        if not created.cancelled() and created.exception() is None:
            self.put(key, created.result())
