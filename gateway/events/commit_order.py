"""How far the log is settled.

Postgres hands ids out as they are asked for, and transactions commit when they are done: a later id may be seen before
an earlier one. So a missing id may yet come. It will not once every transaction that wrote events when it was first
missed has ended: then whoever held it has rolled back.
"""

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from typing import Protocol, TypeVar


class HasId(Protocol):
    id: int


Row = TypeVar("Row", bound=HasId)


@dataclass(frozen=True, slots=True)
class Gap:
    """At some moment ids were missing below `top`; whoever held them was among `writers`, asked after that."""

    highest_id: int
    open_transactions: Set[str]

    def is_closed(self, writing: Set[str]) -> bool:
        """Whether all of them had ended, as those who write now are others. What they committed can be read by now."""
        return self.open_transactions.isdisjoint(writing)


class CommitOrder:
    """Lets rows pass in the order of their ids, up to the first id that may still come."""

    def __init__(self, position: int, missed: Gap | None = None) -> None:
        self.position, self.missed = position, missed
        """`position`: the newest id that has passed."""

    def deliverable(self, rows: Iterable[Row], writing: Set[str]) -> Iterator[Row]:
        """Of the rows beyond the position, those that nothing can come before any more.

        `writing`: who wrote just before the rows were read. Where ids are missing that nobody knew of, `missed` is None
        afterwards, and not all rows have passed.
        """
        missed, self.missed = self.missed, None
        is_over = missed is not None and missed.is_closed(writing)
        for row in rows:
            if row.id != self.position + 1 and not (missed and row.id <= missed.highest_id and is_over):
                self.missed = None if is_over else missed
                return
            self.position = row.id
            yield row
