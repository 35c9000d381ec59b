"""Series by operation name. Clients choose those names, so the number of series has a bound."""

import time
from collections import OrderedDict
from functools import cache

from prometheus_client import Histogram

MAX_SERIES = 100
MAX_NAME_LENGTH = 64
IDLE_SECONDS = 3600.0
"""A series that was not used for so long may be replaced. Names in use cannot be pushed out by made-up ones."""
OTHER = "other"
"""The name that all further operations share."""


class BoundedSeries:
    """The series of a histogram with the labels type and name: up to `max_series` names, and `other` for the rest."""

    def __init__(self, histogram: Histogram, max_series: int = MAX_SERIES) -> None:
        self.histogram, self.max_series = histogram, max_series
        self.get_permanent = cache(histogram.labels)
        self.series: OrderedDict[tuple[str, str], tuple[Histogram, float]] = OrderedDict()
        """Each series with the monotonic time of its last use, least recently used first."""

    def labels(self, type_: str, name: str) -> Histogram:
        """Return the series of an operation, or the one that it shares. Unnamed operations have their own."""
        key = type_, name
        if key in self.series:
            series, _ = self.series[key]
        elif name and self._make_room(name):
            series = self.histogram.labels(*key)
        else:
            return self.get_permanent(type_, name and OTHER)
        self.series[key] = series, time.monotonic()
        self.series.move_to_end(key)
        return series

    def _make_room(self, name: str) -> bool:
        """Return True if the name may have a series of its own; remove an idle one if there are too many."""
        if len(name) > MAX_NAME_LENGTH:
            return False
        if len(self.series) >= self.max_series:
            key, (_, last_used) = next(iter(self.series.items()))
            if time.monotonic() - last_used < IDLE_SECONDS:
                return False
            del self.series[key]
            self.histogram.remove(*key)
        return True
