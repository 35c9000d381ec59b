"""Sliding windows: kept in this process, or in Redis for several.

The strategies of `limits` ask each storage twice, for the decision and then for what to tell the caller: two journeys
to Redis, and in memory more than all else that admitting a caller costs.
"""

import asyncio
import logging
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Sequence
from itertools import chain, islice
from typing import NamedTuple, TypeVar

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

Told = TypeVar("Told")

logger = logging.getLogger("gateway.limits")


class Window(NamedTuple):
    """How many requests, or points, there may be within so many seconds."""

    limit: int
    seconds: int


class Standing(NamedTuple):
    """Where a caller stands in one window."""

    window: Window
    remaining: int
    reset: float
    """Unix seconds: when there will be more."""


class Windows:
    """This process's windows. What they cost does not depend on how many callers there are."""

    def __init__(self) -> None:
        self.entries: OrderedDict[tuple[str, Window], deque[float]] = OrderedDict()
        """By caller, the longest silent first: when the requests in the window came."""

    async def spend(self, windows: Sequence[Window], caller: str, cost: int) -> tuple[bool, Standing]:
        """Take from every window, or, where one has no room, from none; and where the caller stands now."""
        return self.spend_here(windows, caller, cost)

    def spend_here(self, windows: Sequence[Window], caller: str, cost: int) -> tuple[bool, Standing]:
        now, passed, found = time.time(), True, []
        for window in windows:
            moments = self.current((caller, window), now)
            found.append((window, moments))
            passed = passed and len(moments) + cost <= window.limit
        if passed:
            for window, moments in found:
                moments.extend((now,) * cost)
                self.keep((caller, window), moments, now)
        standings = [standing(window, len(moments), moments[0] if moments else now) for window, moments in found]
        return passed, standings[0] if len(standings) == 1 else tightest(standings)

    def current(self, key: tuple[str, Window], now: float) -> deque[float]:
        entries = self.entries.get(key)
        if entries is None:
            return deque()
        while entries and entries[0] < now - key[1].seconds:
            entries.popleft()
        return entries

    def keep(self, key: tuple[str, Window], entries: deque[float], now: float) -> None:
        """Whoever is new makes the two go who were silent longest, if their time is over: so these never gather."""
        if key in self.entries:
            return self.entries.move_to_end(key)
        self.entries[key] = entries
        for other, present in (*islice(self.entries.items(), 2),):
            if len(self.entries) > MOST or not present or present[-1] < now - other[1].seconds:
                del self.entries[other]
        return None


def standing(window: Window, count: int, oldest: float) -> Standing:
    return Standing(window, max(window.limit - count, 0), oldest + window.seconds)


def tightest(standings: Sequence[Standing]) -> Standing:
    """Of several windows the one to tell of: with the least room, and of those the last to have some."""
    return min(standings, key=lambda standing: (standing.remaining, -standing.reset))


SPEND = """
local now, cost, passed, found = tonumber(ARGV[1]), tonumber(ARGV[2]), 1, {}
for i, key in ipairs(KEYS) do
  local limit, oldest = tonumber(ARGV[2 * i + 1]), redis.call('lindex', key, -1)
  while oldest and tonumber(oldest) < now - tonumber(ARGV[2 * i + 2]) do
    redis.call('rpop', key)
    oldest = redis.call('lindex', key, -1)
  end
  if redis.call('llen', key) + cost > limit then passed = 0 end
end
for i, key in ipairs(KEYS) do
  if passed == 1 then
    for _ = 1, cost do redis.call('lpush', key, ARGV[1]) end
    redis.call('expire', key, ARGV[2 * i + 2])
  end
  found[i] = {redis.call('llen', key), redis.call('lindex', key, -1) or ARGV[1]}
end
return {passed, found}
"""
"""The same as `Windows.spend_here`, in one journey to Redis; a window is a list of moments, the latest first."""


class Shared(Windows):
    """Redis' windows; while Redis is away, this process's, so that a limit holds in each process if not in all."""

    def __init__(self, redis: Redis) -> None:
        super().__init__()
        self.redis, self.script = redis, redis.register_script(SPEND)
        self.away_until = 0.0
        """When to try again, on the clock that never goes back; 0 while all is well."""

    async def spend(self, windows: Sequence[Window], caller: str, cost: int) -> tuple[bool, Standing]:
        return await self.either(
            lambda: self.spend_there(windows, caller, cost), lambda: self.spend_here(windows, caller, cost)
        )

    async def either(self, there: Callable[[], Awaitable[Told]], here: Callable[[], Told]) -> Told:
        """What Redis says; what this process says, while Redis is away."""
        if self.away_until > time.monotonic():
            return here()
        if self.away_until:
            self.away_until = time.monotonic() + PAUSE  # one request tries; the others do not wait with it
        try:
            async with asyncio.timeout(PATIENCE):
                told = await there()
        except (RedisError, OSError, TimeoutError) as error:
            self.lost(error)
            return here()
        self.found()
        return told

    async def spend_there(self, windows: Sequence[Window], caller: str, cost: int) -> tuple[bool, Standing]:
        keys = [f"dovetail/{caller}/{limit}/{seconds}" for limit, seconds in windows]
        passed, found = await self.script(keys, [repr(time.time()), cost, *chain.from_iterable(windows)])
        standings = [
            standing(window, count, float(oldest)) for window, (count, oldest) in zip(windows, found, strict=True)
        ]
        return bool(passed), tightest(standings)

    def lost(self, error: Exception) -> None:
        if not self.away_until:
            logger.warning("Redis is away (%s): this process limits by itself", type(error).__name__)
        self.away_until = time.monotonic() + PAUSE

    def found(self) -> None:
        if self.away_until:
            logger.warning("Redis is back: limits are shared again")
        self.away_until = 0.0


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
