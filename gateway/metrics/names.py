"""Names that clients make up, of which a series each would have no end."""

import time
from collections import OrderedDict

from gateway.metrics.histograms import Histogram

MOST = 100
LONGEST = 64
SILENCE = 3600.0
"""Seconds after which a name that nobody used gives way to another: so nobody can crowd out those that are used."""
OTHER = "other"

Key = tuple[str, str]
"""An operation's type, and its name."""


class Named:
    """A series for each operation while there are few, and one for all those beyond."""

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self.series: OrderedDict[Key, Histogram] = OrderedDict()
        """The longest silent first."""
        self.used: dict[Key, float] = {}
        """When each was last, on the clock that never goes back."""
        self.others: dict[str, Histogram] = {}

    def observe(self, kind: str, name: str, seconds: float) -> None:
        key = kind, name
        if key not in self.series and not self.has_room(key):
            self.others.setdefault(kind, Histogram()).observe(seconds)
            return
        self.series[key].observe(seconds)
        self.series.move_to_end(key)
        self.used[key] = time.monotonic()

    def has_room(self, key: Key) -> bool:
        """Whether a newcomer gets a series of its own, which is then there."""
        if len(key[1]) > LONGEST:
            return False
        if len(self.series) >= self.most:
            longest_silent = next(iter(self.series))
            if time.monotonic() - self.used[longest_silent] < SILENCE:
                return False
            del self.series[longest_silent], self.used[longest_silent]
        self.series[key] = Histogram()
        return True

    def all(self) -> dict[Key, Histogram]:
        return {**self.series, **{(kind, OTHER): series for kind, series in self.others.items()}}
