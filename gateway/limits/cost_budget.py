"""A budget of points: what a caller's operations may cost in all, whatever they come over.

Requests are counted by their moments (`windows.py`), of which there would be one for each point. Two numbers do here:
what was spent in this period, and in the one before, of which as much counts still as the sliding window covers.
"""

import time
from collections import OrderedDict
from itertools import islice
from typing import NamedTuple

from gateway.limits.sliding_window import MOST, Shared, Standing, Window


class Spent(NamedTuple):
    """Points of a period (the number of its window since 1970) and of the one before."""

    period: int
    now: int
    before: int

    def at(self, period: int) -> "Spent":
        """The same, seen from a later period."""
        if period == self.period:
            return self
        return Spent(period, 0, self.now if period == self.period + 1 else 0)


NOTHING = Spent(0, 0, 0)


class Budgets:
    """What was spent of budgets, in this process."""

    def __init__(self) -> None:
        self.spent: OrderedDict[tuple[str, Window], Spent] = OrderedDict()
        """By caller, the longest silent first."""

    async def spend(self, window: Window, caller: str, points: int) -> tuple[bool, Standing]:
        """Take points, if there are so many left; and where the caller stands now."""
        return self.spend_here(window, caller, points)

    def spend_here(self, window: Window, caller: str, points: int) -> tuple[bool, Standing]:
        now, key = time.time(), (caller, window)
        spent = self.spent.get(key, NOTHING).at(int(now // window.seconds))
        left = window.limit - used(window, spent, now)
        if left < points:
            return False, standing(window, spent, left, now, points)
        spent = Spent(spent.period, spent.now + points, spent.before)
        self.keep(key, spent, now)
        return True, standing(window, spent, left - points, now, points)

    def keep(self, key: tuple[str, Window], spent: Spent, now: float) -> None:
        """Whoever is new makes the two go who were silent longest, if their time is over: so these never gather."""
        is_new = key not in self.spent
        self.spent[key] = spent
        if not is_new:
            return self.spent.move_to_end(key)
        for other, present in (*islice(self.spent.items(), 2),):
            if len(self.spent) > MOST or present.period < now // other[1].seconds - 1:
                del self.spent[other]
        return None


def used(window: Window, spent: Spent, now: float) -> float:
    """Points within the window that ends now."""
    return spent.now + spent.before * (1 - now % window.seconds / window.seconds)


def standing(window: Window, spent: Spent, left: float, now: float, points: int) -> Standing:
    return Standing(window, max(int(left), 0), now + until(window, spent, now, points))


def until(window: Window, spent: Spent, now: float, points: int) -> float:
    """Seconds until so many points are free again, as what was spent before fades."""
    rest = window.seconds - now % window.seconds
    free = window.limit - points
    if spent.now <= free and spent.before:
        return max(rest - window.seconds * (free - spent.now) / spent.before, 0.0)
    return rest + window.seconds * (1 - max(free, 0) / max(spent.now, 1)) if spent.now > free else 0.0


SPEND = """
local limit, seconds, points, moment = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local now, before = tonumber(redis.call('get', KEYS[1]) or 0), tonumber(redis.call('get', KEYS[2]) or 0)
local passed = now + before * (1 - moment % seconds / seconds) + points <= limit
if passed then
  now = redis.call('incrby', KEYS[1], points)
  redis.call('expire', KEYS[1], 2 * seconds)
end
return {passed and 1 or 0, now, before}
"""
"""The same as `Budgets.spend`, in one journey to Redis."""


class SharedBudgets(Budgets):
    """What was spent in all processes; while Redis is away, in this one."""

    def __init__(self, shared: Shared) -> None:
        super().__init__()
        self.shared, self.script = shared, shared.redis.register_script(SPEND)

    async def spend(self, window: Window, caller: str, points: int) -> tuple[bool, Standing]:
        return await self.shared.either(
            lambda: self.spend_there(window, caller, points), lambda: self.spend_here(window, caller, points)
        )

    async def spend_there(self, window: Window, caller: str, points: int) -> tuple[bool, Standing]:
        now = time.time()
        period = int(now // window.seconds)
        keys = [f"dovetail/{caller}/{window.limit}/{window.seconds}/{each}" for each in (period, period - 1)]
        passed, spent, before = await self.script(keys, [*window, points, repr(now)])
        now_spent = Spent(period, int(spent), int(before))
        return bool(passed), standing(window, now_spent, window.limit - used(window, now_spent, now), now, points)
