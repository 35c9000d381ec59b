"""Names that clients make up, of which a series each would have no end."""

import time
from collections import OrderedDict

from gateway.observability.metrics.histogram import Histogram

MOST = 100
LONGEST = 64
SILENCE = 3600.0
"""Seconds after which a name that nobody used gives way to another: so nobody can crowd out those that are used."""
OTHER = "other"

Key = tuple[str, str]
"""An operation's type, and its name."""


class Lasting(Histogram):
    """One that knows when it was used last, on the clock that never goes back."""

    __slots__ = ("used",)


class Named:
    """A series for each operation while there are few, and one for all those beyond."""

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self.series: OrderedDict[Key, Lasting] = OrderedDict()
        """The longest silent first."""
        self.others: dict[str, Histogram] = {}

    def observe(self, kind: str, name: str, seconds: float) -> None:
        key = kind, name
        series = self.series.get(key) or self.admitted(key)
        if series is None:
            self.others.setdefault(kind, Histogram()).observe(seconds)
        else:
            self.series.move_to_end(key)
            series.used = time.monotonic()
            series.observe(seconds)

    def admitted(self, key: Key) -> Lasting | None:
        """A newcomer's series, if there is room for one."""
        if len(key[1]) > LONGEST:
            return None
        if len(self.series) >= self.most:
            longest_silent = next(iter(self.series))
            if time.monotonic() - self.series[longest_silent].used < SILENCE:
                return None
            del self.series[longest_silent]
        series = self.series[key] = Lasting()
        return series

    def all(self) -> dict[Key, Histogram]:
        return {**self.series, **{(kind, OTHER): series for kind, series in self.others.items()}}
