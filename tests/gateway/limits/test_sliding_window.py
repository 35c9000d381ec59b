"""The algorithm, in memory and in Redis."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.limits import sliding_window
from gateway.limits.sliding_window import (
    SLOTS_PER_WINDOW,
    RedisSlidingWindowLimiter,
    SlidingWindowLimiter,
    Window,
    create_redis_client,
)
from models import new_id
from tests.support.waiting import TEST_TIMEOUT_SECONDS

pytestmark = pytest.mark.anyio

MINUTE = Window(5, 60)


@dataclass
class Clock:
    """Stands in for the `time` module."""

    now: float = 1_800_000_000.0

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(sliding_window, "time", clock)
    return clock


@pytest.fixture
async def redis_limiter(redis_url: str, long_redis_timeout: None) -> AsyncIterator[RedisSlidingWindowLimiter]:
    redis = create_redis_client(redis_url)
    yield RedisSlidingWindowLimiter(redis)
    await redis.aclose()


@settings(max_examples=100, deadline=None)
@given(hits=st.lists(st.tuples(st.integers(0, 40_000), st.integers(1, 60)), max_size=40))
def test_no_window_exceeds_its_limit_wherever_it_begins(hits: list[tuple[int, int]]) -> None:
    """A rejected hit fits at the time that its status gives, at most one slot after the window."""
    window, limiter, clock, allowed = Window(100, 60), SlidingWindowLimiter(), Clock(), []

    def hit(cost: int) -> float | None:
        """Return when to try again, if the hit was rejected."""
        is_allowed, status = limiter.hit_local([window], "key", cost)
        if is_allowed:
            allowed.append((clock.now, cost))
        assert sum(cost for at, cost in allowed if at > clock.now - 60) <= 100 - status.remaining <= 100
        assert clock.now < status.reset <= clock.now + 61
        return None if is_allowed else status.reset

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sliding_window, "time", clock)
        for milliseconds, cost in hits:
            clock.now += milliseconds / 1000
            if retry_at := hit(cost):
                clock.now = retry_at
                assert hit(cost) is None


async def test_redis_counts_as_memory_does(redis_limiter: RedisSlidingWindowLimiter, clock: Clock) -> None:
    """Equal hits have equal results, in several windows and as time goes by."""
    windows, key, local = [Window(1000, 60), Window(1500, 3600)], new_id().hex, SlidingWindowLimiter()
    hits = [(0, 400), (1.5, 500), (9, 200), (0, 100), (0, 1), (51, 400), (1, 300), (60, 300), (3600, 2000)]
    outcomes = []
    for seconds, cost in hits:
        clock.now += seconds
        expected = local.hit_local(windows, key, cost)
        assert await redis_limiter.hit_redis(windows, key, cost) == expected
        outcomes.append(expected[0])
    assert outcomes == [True, True, False, True, False, True, False, False, False]


def test_a_hit_that_one_window_rejects_counts_in_none(clock: Clock) -> None:
    """The status is that of the window with the least room, or of the one to wait for longest."""
    short, long, limiter = Window(2, 2), Window(3, 3600), SlidingWindowLimiter()

    def hit() -> tuple[bool, Window, int]:
        is_allowed, status = limiter.hit_local([short, long], "key", 1)
        return is_allowed, status.window, status.remaining

    assert [hit(), hit(), hit()] == [(True, short, 1), (True, short, 0), (False, short, 0)]
    clock.now += 2.1
    assert [hit(), hit()] == [(True, long, 0), (False, long, 0)]


def test_a_cost_above_the_limit_is_rejected_for_a_whole_window(clock: Clock) -> None:
    """And does not use up what is there."""
    limiter = SlidingWindowLimiter()
    is_allowed, status = limiter.hit_local([MINUTE], "key", 6)
    assert (is_allowed, status) == (False, (MINUTE, 5, clock.now + 60))


async def test_redis_is_tried_again_after_a_pause(
    redis_limiter: RedisSlidingWindowLimiter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until then no request waits for it."""
    monkeypatch.setattr(sliding_window, "REDIS_RETRY_DELAY_SECONDS", 2 * TEST_TIMEOUT_SECONDS)
    key = new_id().hex
    await redis_limiter.hit([MINUTE], key, 1)
    redis_limiter.mark_down(OSError())
    _, local = await redis_limiter.hit([MINUTE], key, 1)
    redis_limiter.retry_at = time.monotonic()
    _, shared = await redis_limiter.hit([MINUTE], key, 1)
    assert (local.remaining, shared.remaining, redis_limiter.is_redis_up) == (4, 3, True)


def test_memory_holds_the_keys_of_the_last_window_only(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """And never more than the maximum."""
    limiter = SlidingWindowLimiter()

    def hit_as(name: str) -> None:
        for n in range(10):
            limiter.hit_local([MINUTE], f"{name} {n}", 1)

    hit_as("early")
    clock.now += 61
    hit_as("late")
    assert set(limiter.usage[MINUTE]) == {f"late {n}" for n in range(10)}
    monkeypatch.setattr(sliding_window, "MAX_KEYS_PER_WINDOW", 5)
    hit_as("later")
    assert len(limiter.usage[MINUTE]) <= 5


async def test_the_usage_of_a_key_is_bounded_whatever_the_limit(
    redis_limiter: RedisSlidingWindowLimiter, clock: Clock
) -> None:
    """In memory and in Redis."""
    window, key, local = Window(1_000_000, 60), new_id().hex, SlidingWindowLimiter()
    for _ in range(300):
        clock.now += 0.5
        local.hit_local([window], key, 100)
        await redis_limiter.hit_redis([window], key, 100)
    entries = await redis_limiter.script.registered_client.hlen(f"dovetail/limits/{key}/1000000/60")
    assert len(local.usage[window][key]) == entries == SLOTS_PER_WINDOW + 1
