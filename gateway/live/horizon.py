"""How far the log is settled.

Postgres hands ids out as they are asked for, and transactions commit when they are done: a later id may be seen before
an earlier one. So a missing id may yet come. It will not once every transaction that ran when it was first missed has
ended: then whoever held it has rolled back.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

GRACE = 0.1
"""Seconds for a transaction that holds an id to show up among those that run."""


class HasId(Protocol):
    id: int


Row = TypeVar("Row", bound=HasId)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The transactions of a moment, by number: all before `oldest` had ended, none from `next` on had begun."""

    oldest: int
    next: int


@dataclass(frozen=True, slots=True)
class Missed:
    """At some moment ids were missing below `top`; whoever held them began before `next`."""

    top: int
    next: int
    at: float

    def is_over(self, snapshot: Snapshot) -> bool:
        """Whether they had all ended by a later moment."""
        return snapshot.oldest >= self.next and time.monotonic() - self.at >= GRACE


class Horizon:
    """Lets rows pass in the order of their ids, up to the first id that may still come."""

    def __init__(self, position: int) -> None:
        self.position = position
        """The newest id that has passed."""
        self.missed: Missed | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether there are rows that may not pass yet."""
        return self.missed is not None

    def settled(self, rows: list[Row], snapshot: Snapshot) -> Iterator[Row]:
        """Of the rows beyond the position, read in one snapshot, those that nothing can come before any more."""
        for row in rows:
            if row.id != self.position + 1 and not self.are_lost(row.id, snapshot):
                self.note(rows[-1].id, snapshot)
                return
            self.position = row.id
            yield row
        self.missed = None

    def are_lost(self, id: int, snapshot: Snapshot) -> bool:
        """Whether the ids that are missing before this one were given up."""
        missed = self.missed
        return missed is not None and id <= missed.top and missed.is_over(snapshot)

    def note(self, top: int, snapshot: Snapshot) -> None:
        """Remember when ids were first missed; a moment that has not been waited for is kept."""
        if self.missed is None or self.missed.is_over(snapshot):
            self.missed = Missed(top, snapshot.next, time.monotonic())
