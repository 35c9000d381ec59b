"""The sliding-window algorithm behind every rate limit: in this process, or in Redis for several processes.

A window is divided into `SLOTS_PER_WINDOW` time slots, and a key's usage is a map from slot to cost. A slot counts
until the whole of it is older than the window, so no window ever holds more than its limit; a client may wait up to one
slot longer than with exact timestamps. Requests (cost 1) and GraphQL cost points use the same code.

The asynchronous strategies of `limits` do not fit. In memory, a hit and its statistics take 27 µs of CPU with one key
and 168 µs with 10,000 (each hit walks all keys), against 4 µs here, and the number of keys has no bound. In Redis they
take two round trips, and several windows cannot be checked as one.
"""

import asyncio
import logging
import time
from collections import OrderedDict, defaultdict
from collections.abc import Mapping, Sequence
from itertools import chain, islice
from typing import NamedTuple, TypeAlias

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

SLOTS_PER_WINDOW = 60
MAX_KEYS_PER_WINDOW = 100_000
"""Keys whose usage is held in memory. Above that, those without a hit for longest are dropped."""
REDIS_TIMEOUT_SECONDS = 0.5
REDIS_RETRY_DELAY_SECONDS = 2.0
"""After Redis failed, how long this process limits alone until one request tries Redis again."""
MAX_REDIS_CONNECTIONS = 16

Usage: TypeAlias = dict[int, int]
"""Cost by time slot, oldest first. Slots are numbered from the Unix epoch."""

logger = logging.getLogger("gateway.limits")


class Window(NamedTuple):
    """A limit: how much cost is allowed within how many seconds."""

    limit: int
    seconds: int

    def get_slot(self, timestamp: float) -> int:
        """Return the number of the slot that a Unix time is in."""
        return int(timestamp * SLOTS_PER_WINDOW / self.seconds)

    def get_expiry(self, slot: int) -> float:
        """Return the Unix time at which a slot stops counting."""
        return (slot + 1 + SLOTS_PER_WINDOW) * self.seconds / SLOTS_PER_WINDOW


class LimitStatus(NamedTuple):
    """The state of one key in one window."""

    window: Window
    remaining: int
    reset: float
    """Unix time at which more becomes available; after a rejected hit, enough for that hit."""


class SlidingWindowLimiter:
    """Limits by key in this process's memory. The cost of a hit does not depend on the number of keys."""

    def __init__(self) -> None:
        self.usage: defaultdict[Window, OrderedDict[str, Usage]] = defaultdict(OrderedDict)
        """By key; the key without a hit for longest comes first."""

    async def hit(self, windows: Sequence[Window], key: str, cost: int) -> tuple[bool, LimitStatus]:
        """Add the cost to all windows, or to none if one of them has no room.

        Return whether there was room, and the status of the most restrictive window.
        """
        return self.hit_local(windows, key, cost)

    def hit_local(self, windows: Sequence[Window], key: str, cost: int) -> tuple[bool, LimitStatus]:
        """Do what `hit` does, in this process."""
        now, usages, is_allowed = time.time(), [], True
        for window in windows:
            usage = self._get_usage(window, key, now)
            usages.append((window, usage))
            if sum(usage.values()) + cost > window.limit:
                is_allowed = False
        if is_allowed:
            for window, usage in usages:
                slot = window.get_slot(now)
                usage[slot] = usage.get(slot, 0) + cost
                self._store(window, key, usage, now)
        return is_allowed, get_status(usages, is_allowed, cost, now)

    def _get_usage(self, window: Window, key: str, now: float) -> Usage:
        usage = self.usage[window].get(key)
        if usage is None:
            return {}
        oldest = window.get_slot(now) - SLOTS_PER_WINDOW
        while usage and (slot := next(iter(usage))) < oldest:
            del usage[slot]
        return usage

    def _store(self, window: Window, key: str, usage: Usage, now: float) -> None:
        """Store the usage. A new key evicts up to two expired ones, so these never accumulate."""
        by_key = self.usage[window]
        if key in by_key:
            by_key.move_to_end(key)
            return
        by_key[key] = usage
        for other, slots in [*islice(by_key.items(), 2)]:
            if len(by_key) > MAX_KEYS_PER_WINDOW or not slots or window.get_expiry(next(reversed(slots))) <= now:
                del by_key[other]


def get_status(
    usages: Sequence[tuple[Window, Mapping[int, int]]], is_allowed: bool, cost: int, now: float
) -> LimitStatus:
    """Return the status of the most restrictive window after a hit."""
    statuses = []
    for window, usage in usages:
        remaining = window.limit - sum(usage.values())
        reset = get_reset(window, usage, 0 if is_allowed else cost - remaining, now)
        statuses.append(LimitStatus(window, remaining, reset))
    if len(statuses) == 1:
        return statuses[0]
    if is_allowed:
        return min(statuses, key=lambda status: (status.remaining, -status.reset))
    return max((status for status in statuses if status.remaining < cost), key=lambda status: status.reset)


def get_reset(window: Window, usage: Mapping[int, int], missing: int, now: float) -> float:
    """Return the Unix time at which `missing` cost has expired, or the oldest slot if nothing is missing."""
    for slot, used in usage.items():
        missing -= used
        if missing <= 0:
            return window.get_expiry(slot)
    return now + window.seconds


HIT_SCRIPT = """
local cost, slots, is_allowed, usages = tonumber(ARGV[1]), tonumber(ARGV[2]), 1, {}
for i, key in ipairs(KEYS) do
  local limit, oldest = tonumber(ARGV[3 * i]), tonumber(ARGV[3 * i + 2]) - slots
  local used, usage = 0, redis.call('hgetall', key)
  for j = 1, #usage, 2 do
    if tonumber(usage[j]) < oldest then
      redis.call('hdel', key, usage[j])
    else
      used = used + tonumber(usage[j + 1])
    end
  end
  if used + cost > limit then is_allowed = 0 end
end
for i, key in ipairs(KEYS) do
  if is_allowed == 1 then
    redis.call('hincrby', key, ARGV[3 * i + 2], cost)
    redis.call('expire', key, 2 * ARGV[3 * i + 1])
  end
  usages[i] = redis.call('hgetall', key)
end
return {is_allowed, usages}
"""
"""`SlidingWindowLimiter.hit_local` in one round trip, and atomic. Each key is a hash from slot to cost."""


class RedisSlidingWindowLimiter(SlidingWindowLimiter):
    """Limits by key in Redis. While Redis is down, each process limits by itself."""

    def __init__(self, redis: Redis) -> None:
        super().__init__()
        self.script = redis.register_script(HIT_SCRIPT)
        self.retry_at = 0.0
        """When to try Redis again, on the monotonic clock; 0 while Redis is up."""

    @property
    def is_redis_up(self) -> bool:
        return not self.retry_at

    async def hit(self, windows: Sequence[Window], key: str, cost: int) -> tuple[bool, LimitStatus]:
        if self.retry_at > time.monotonic():
            return self.hit_local(windows, key, cost)
        if self.retry_at:  # this request tries Redis; the others do not wait with it
            self.retry_at = time.monotonic() + REDIS_RETRY_DELAY_SECONDS
        try:
            async with asyncio.timeout(REDIS_TIMEOUT_SECONDS):
                result = await self.hit_redis(windows, key, cost)
        except (RedisError, OSError, TimeoutError) as error:
            self.mark_down(error)
            return self.hit_local(windows, key, cost)
        self.mark_up()
        return result

    async def hit_redis(self, windows: Sequence[Window], key: str, cost: int) -> tuple[bool, LimitStatus]:
        """Do what `hit` does, in Redis. Raises what the client raises if Redis is down."""
        now = time.time()
        keys = [f"dovetail/limits/{key}/{window.limit}/{window.seconds}" for window in windows]
        arguments = chain.from_iterable((*window, window.get_slot(now)) for window in windows)
        is_allowed, hashes = await self.script(keys, [cost, SLOTS_PER_WINDOW, *arguments])
        usages = [
            (window, dict(sorted(zip(map(int, entries[::2]), map(int, entries[1::2]), strict=True))))
            for window, entries in zip(windows, hashes, strict=True)
        ]
        return bool(is_allowed), get_status(usages, bool(is_allowed), cost, now)

    def mark_down(self, error: Exception) -> None:
        if self.is_redis_up:
            logger.warning("Redis is down (%s): this process limits by itself", type(error).__name__)
        self.retry_at = time.monotonic() + REDIS_RETRY_DELAY_SECONDS

    def mark_up(self) -> None:
        if not self.is_redis_up:
            logger.warning("Redis is up: limits are shared again")
        self.retry_at = 0.0


def create_redis_client(url: str) -> Redis:
    """Create a client that fails fast instead of keeping a request waiting."""
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=MAX_REDIS_CONNECTIONS,
        timeout=REDIS_TIMEOUT_SECONDS,
        socket_timeout=REDIS_TIMEOUT_SECONDS,
        socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    return Redis.from_pool(pool)
