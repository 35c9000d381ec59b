"""What a hostile file costs to look at: no more than in proportion to its size, by the CPU's clock."""

import time
from collections.abc import Callable

import pytest

from resolvers.filenames import cleaned


def spent(work: Callable[..., object], *given: object) -> float:
    """The CPU time of this thread, at best of three."""
    times = []
    for _ in range(3):
        before = time.thread_time()
        work(*given)
        times.append(time.thread_time() - before)
    return min(times)


def in_proportion(work: Callable[[int], object], size: int) -> bool:
    """Whether four times as much costs about four times as much, and not sixteen times."""
    return spent(work, 4 * size) < 8 * max(spent(work, size), 0.002)


@pytest.mark.parametrize("letters", ["a", "/", "\\", "a/", "\n", "\u0345\u0301", "\u0328\u0321", ".", " ", "é"])
def test_a_filename_is_cleaned_at_once(letters):
    """Whatever it consists of: it happens where everybody waits."""
    assert in_proportion(lambda size: cleaned((letters * size)[:size]), 4_000)


def test_of_a_filename_without_end_both_ends_are_kept():
    assert cleaned("x" * 16_000 + ".png") == "x" * 251 + ".png"
    assert cleaned("a/" * 8_000 + "b.png") == "b.png"
