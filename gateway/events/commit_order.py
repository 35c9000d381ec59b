"""Delivery of rows in the order of their ids, although transactions commit in another order.

Postgres allocates ids when rows are inserted, but rows become visible when their transactions commit. So a missing id
may still appear. It will not once every transaction that was writing events when the gap was first seen has ended:
then the one that allocated the id has rolled back.
"""

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from typing import Protocol, TypeVar


class HasId(Protocol):
    id: int


Row = TypeVar("Row", bound=HasId)


@dataclass(frozen=True, slots=True)
class Gap:
    """Missing ids up to `highest_id`, and the transactions that were writing events after the gap was seen."""

    highest_id: int
    open_transactions: Set[str]

    def is_closed(self, open_transactions: Set[str]) -> bool:
        """Return whether none of the gap's transactions is still open, so that all they committed can be read."""
        return self.open_transactions.isdisjoint(open_transactions)


class CommitOrder:
    """The position up to which rows have been delivered, and the gap that blocks further rows."""

    def __init__(self, position: int, gap: Gap | None = None) -> None:
        self.position, self.gap = position, gap

    def deliverable(self, rows: Iterable[Row], open_transactions: Set[str]) -> Iterator[Row]:
        """Yield the rows beyond the position up to the first id that may still be committed.

        `open_transactions` are those that were writing just before the rows were read. If not all rows are yielded and
        `gap` is None afterwards, a new gap was found, and the caller has to record it.
        """
        gap, self.gap = self.gap, None
        is_closed = gap is not None and gap.is_closed(open_transactions)
        for row in rows:
            if row.id != self.position + 1 and not (gap and row.id <= gap.highest_id and is_closed):
                self.gap = None if is_closed else gap
                return
            self.position = row.id
            yield row
