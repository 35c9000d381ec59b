"""Durations, by how many were how long. `prometheus_client` has its own, which take a lock and ten times as long."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

QUICK = 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0
"""For what somebody waits for."""
LONG = 1.0, 10.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 43200.0
"""For what stays open."""


class Histogram:
    """Kept by the event loop's thread alone, so that nothing need be locked."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float] = QUICK) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0
        """Seconds, of all together."""

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """How many took so long or less, as Prometheus writes it."""
        names = [*map(str, self.bounds), "+Inf"]
        return list(zip(names, accumulate(self.counts), strict=True))
