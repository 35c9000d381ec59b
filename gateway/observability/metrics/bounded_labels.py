"""Durations by operation name. Clients choose those names, so the number of series has a bound."""

import time
from collections import OrderedDict

from gateway.observability.metrics.histogram import Histogram

MAX_SERIES = 100
MAX_NAME_LENGTH = 64
IDLE_SECONDS = 3600.0
"""A series that was not used for so long may be replaced. Names in use cannot be pushed out by made-up ones."""
OTHER = "other"
"""The name that all further operations share."""

Key = tuple[str, str]
"""An operation's type and name."""


class TimestampedHistogram(Histogram):
    """A histogram with the monotonic time of its last use."""

    __slots__ = ("last_used",)


class BoundedSeries:
    """One histogram for each of up to `max_series` operations, and one per operation type for all others."""

    def __init__(self, max_series: int = MAX_SERIES) -> None:
        self.max_series = max_series
        self.series: OrderedDict[Key, TimestampedHistogram] = OrderedDict()
        """Least recently used first."""
        self.others: dict[str, Histogram] = {}

    def observe(self, kind: str, name: str, seconds: float) -> None:
        key = kind, name
        series = self.series.get(key) or self._add(key)
        if series is None:
            self.others.setdefault(kind, Histogram()).observe(seconds)
        else:
            self.series.move_to_end(key)
            series.last_used = time.monotonic()
            series.observe(seconds)

    def _add(self, key: Key) -> TimestampedHistogram | None:
        """Return a new series, in place of an idle one if there are `max_series`; None if none is idle."""
        if len(key[1]) > MAX_NAME_LENGTH:
            return None
        if len(self.series) >= self.max_series:
            least_recent = next(iter(self.series))
            if time.monotonic() - self.series[least_recent].last_used < IDLE_SECONDS:
                return None
            del self.series[least_recent]
        series = self.series[key] = TimestampedHistogram()
        return series

    def all(self) -> dict[Key, Histogram]:
        return {**self.series, **{(kind, OTHER): series for kind, series in self.others.items()}}
