"""Sliding windows: kept in this process, or in Redis for several."""

import asyncio
import logging
import time
from collections import OrderedDict, deque
from typing import NamedTuple

from limits import RateLimitItem
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

PATIENCE = 0.5
"""Seconds that a request waits for Redis at most."""
PAUSE = 2.0
"""Seconds for which Redis is left alone after it failed."""
CONNECTIONS = 16
MOST = 100_000
"""Callers that are remembered; beyond that the longest silent are forgotten."""

logger = logging.getLogger("gateway.limits")


class Standing(NamedTuple):
    """Where a caller stands in one window."""

    limit: int
    remaining: int
    reset: float
    """Unix seconds: when the oldest request leaves the window."""


class Memory(MemoryStorage):
    """Keeps windows in this process, at a cost that does not depend on how many callers there are.

    The storage that it builds on starts a task, with a thread for each caller that it knows, on each request.
    """

    def __init__(self) -> None:
        super().__init__()
        self.windows: OrderedDict[str, tuple[int, deque[float]]] = OrderedDict()
        """By caller, the longest silent first: the window's seconds, and when the requests in it came."""

    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        now = time.time()
        entries = self.current(key, expiry, now)
        if len(entries) + amount > limit:
            return False
        entries.extend([now] * amount)
        self.windows[key] = (expiry, entries)
        self.windows.move_to_end(key)
        self.forget(now)
        return True

    async def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """When the oldest request in the window came, and how many there are."""
        now = time.time()
        entries = self.current(key, expiry, now)
        return (entries[0], len(entries)) if entries else (now, 0)

    def current(self, key: str, expiry: int, now: float) -> deque[float]:
        _, entries = self.windows.get(key) or (expiry, deque())
        while entries and entries[0] < now - expiry:
            entries.popleft()
        return entries

    def forget(self, now: float) -> None:
        """Look at the two longest silent: as two go for each that comes, what is over never gathers."""
        for key, (expiry, entries) in [item for item, _ in zip(self.windows.items(), range(2), strict=False)]:
            if len(self.windows) > MOST or not entries or entries[-1] < now - expiry:
                del self.windows[key]


class Windows:
    """This process's windows."""

    def __init__(self) -> None:
        self.own = MovingWindowRateLimiter(Memory())

    async def spend(self, items: list[RateLimitItem], key: str, cost: int) -> tuple[bool, Standing]:
        """Whether there was room, and where the caller stands now."""
        return await spend(self.own, items, key, cost)


class Shared(Windows):
    """Redis' windows; while Redis is away, this process's, so that a limit holds in each process if not in all."""

    def __init__(self, redis: Redis) -> None:
        super().__init__()
        self.shared = MovingWindowRateLimiter(shared_storage(redis))
        self.away_until = 0.0
        """When to try again, on the clock that never goes back; 0 while all is well."""

    async def spend(self, items: list[RateLimitItem], key: str, cost: int) -> tuple[bool, Standing]:
        if self.away_until > time.monotonic():
            return await super().spend(items, key, cost)
        if self.away_until:
            self.away_until = time.monotonic() + PAUSE  # one request tries; the others do not wait with it
        try:
            async with asyncio.timeout(PATIENCE):
                answer = await spend(self.shared, items, key, cost)
        except (RedisError, OSError, TimeoutError) as error:
            self.lost(error)
            return await super().spend(items, key, cost)
        self.found()
        return answer

    def lost(self, error: Exception) -> None:
        if not self.away_until:
            logger.warning("Redis is away (%s): this process limits by itself", type(error).__name__)
        self.away_until = time.monotonic() + PAUSE

    def found(self) -> None:
        if self.away_until:
            logger.warning("Redis is back: limits are shared again")
        self.away_until = 0.0


async def spend(
    windows: MovingWindowRateLimiter, items: list[RateLimitItem], key: str, cost: int
) -> tuple[bool, Standing]:
    """Take from every window, or, where one has no room, from none."""
    fits = len(items) == 1 or all([await windows.test(item, key, cost=cost) for item in items])
    passed = fits and all([await windows.hit(item, key, cost=cost) for item in items])
    return passed, min([await standing(windows, item, key) for item in items], key=tightness)


async def standing(windows: MovingWindowRateLimiter, item: RateLimitItem, key: str) -> Standing:
    stats = await windows.get_window_stats(item, key)
    return Standing(item.amount, max(stats.remaining, 0), stats.reset_time)


def tightness(standing: Standing) -> tuple[int, float]:
    """Of several windows the one to tell of: with the least room, and of those the last to have some."""
    return standing.remaining, -standing.reset


def connect(url: str) -> Redis:
    """A client that would rather fail soon than keep a request waiting."""
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=CONNECTIONS,
        timeout=PATIENCE,
        socket_timeout=PATIENCE,
        socket_connect_timeout=PATIENCE,
        retry=Retry(NoBackoff(), 0),
    )
    return Redis.from_pool(pool)


def shared_storage(redis: Redis) -> RedisStorage:
    """Over the connections of a client of ours; the address in it is not used."""
    options = {"implementation": "redispy", "key_prefix": "dovetail"}
    return RedisStorage("async+redis://", connection_pool=redis.connection_pool, **options)
