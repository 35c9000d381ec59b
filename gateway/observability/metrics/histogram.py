"""A histogram of durations. `prometheus_client` has its own, which takes a lock and five times as long."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

REQUEST_BUCKETS = 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0
"""Upper bounds in seconds, for requests, operations and statements."""
STREAM_BUCKETS = 1.0, 10.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 43200.0
"""Upper bounds in seconds, for streams and sockets."""


class Histogram:
    """Counts of durations by bucket. Only the event loop's thread writes to it, so it needs no lock."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float] = REQUEST_BUCKETS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0
        """Sum of all durations, in seconds."""

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Return pairs of an upper bound and the number of durations up to it, as in Prometheus' text format."""
        names = [*map(str, self.bounds), "+Inf"]
        return list(zip(names, accumulate(self.counts), strict=True))
