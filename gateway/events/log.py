"""The event log as one process reads it: in the order of ids, with every event exactly once."""

import asyncio
import logging
import time
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from copy import copy
from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID
from weakref import WeakValueDictionary

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.events import queries
from gateway.events.commit_order import CommitOrder, Gap
from gateway.events.entry import Entry, VisibilityMap, build_entries
from gateway.tasks.periodic import run_in_background
from models import Database
from models.errors import CursorExpired, Unavailable
from models.events import PRUNED

PAGE_SIZE = 500
CACHED_ENTRIES = 10_000
"""Newest entries to keep in memory, for subscribers that are a little behind."""
START_OFFSET = 1_000
"""Ids before the newest one at which reading starts: an open transaction may still commit one of them."""
START_TIMEOUT_SECONDS = 2.0
"""How long a start waits for open transactions to end."""
POLL_INTERVAL_SECONDS = 1.0
"""Interval of reads without a wake-up, so that a lost one delays an event and loses none."""
GAP_POLL_INTERVAL_SECONDS = 0.05
READ_INTERVAL_SECONDS = 0.01
"""Pause between two reads. Events written meanwhile are read together."""

logger = logging.getLogger("gateway.live")


class LogRewound(Exception):
    """The last event read is gone or is another one: a backup was restored, or a standby that lagged was promoted."""


class EventIdentity(NamedTuple):
    """The values that identify an event. Its id alone does not: after a rewind, another event may get it."""

    id: int
    entity_id: UUID
    at: datetime


def get_identity(row: Row) -> EventIdentity:
    return EventIdentity(row.id, row.entity_id, row.at)


class RowListener(Protocol):
    """A callback for rows as soon as they are visible: in any order, and repeatedly until they are delivered."""

    def __call__(self, rows: Sequence[Row], position: int, *, complete_at: float | None) -> None:
        """Handle the rows beyond the previous position.

        `position` is the new one. `complete_at` is when the read began (`time.monotonic()`) if it reached the end of
        the log, else None.
        """


class EventLog:
    """Reads the log once for everything in this process that follows it, and keeps the newest entries in memory."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.commit_order = CommitOrder(0)
        self.entries: list[Entry] = []
        self.oldest_cached_id = 0
        """All entries after this id are in memory."""
        self.visibilities: VisibilityMap = WeakValueDictionary()
        self.listeners: set[Callable[[list[Entry]], None]] = set()
        self.row_listeners: set[RowListener] = set()
        self.generation = 0
        """Number of rewinds. A cursor is valid in one generation only."""
        self.on_rewind: set[Callable[[], None]] = set()
        """Called after the log was rewound."""
        self.last: EventIdentity | None = None
        """The event at the position."""
        self._wake = asyncio.Event()
        self._waiters: set[asyncio.Future[None]] = set()
        """One for each caller that waits for growth. One that all of them shield would cost several times as much."""
        self._next_read = asyncio.get_running_loop().create_future()
        """Done after the next read."""

    @property
    def position(self) -> int:
        """The id of the newest event that was delivered."""
        return self.commit_order.position

    @property
    def has_gap(self) -> bool:
        """True while events wait for an id that may still be committed."""
        return self.commit_order.gap is not None

    def wake(self) -> None:
        """Read the log soon: there may be new events."""
        self._wake.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["EventLog"]:
        """Follow the log until the scope is left."""
        await self.begin()
        async with run_in_background(self.follow(), "read event log"):
            yield self

    async def begin(self) -> None:
        """Read from a little before the newest event: an id allocated by now may still be committed."""
        async with self.db.reading() as session:
            newest_id, pruned_id = await queries.fetch_newest_id(session), await queries.fetch_pruned_id(session)
            gap = None
            if queries.ids_may_commit_late(session):
                last_id = await queries.fetch_last_allocated_id(session)
                gap = Gap(last_id, await queries.fetch_write_transactions(session))
        self.commit_order, self.last = CommitOrder(max(newest_id - START_OFFSET, pruned_id, 0), gap), None
        self.oldest_cached_id = self.position
        self.entries.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(START_TIMEOUT_SECONDS):
                await self.read_existing(newest_id, gap)

    async def read_existing(self, newest_id: int, gap: Gap | None) -> None:
        """Read all existing events, and skip ids that were rolled back, or the next event would wait for them."""
        while await self.read_page() or self.position < newest_id:  # noqa: ASYNC110 - nothing signals a rollback
            await asyncio.sleep(GAP_POLL_INTERVAL_SECONDS)
        if gap is None:
            return
        async with self.db.reading() as session:
            is_closed = gap.is_closed(await queries.fetch_write_transactions(session))
        if is_closed and not await self.read_page() and not self.has_gap:
            self.commit_order.position = max(self.position, gap.highest_id)

    async def follow(self) -> None:
        while True:
            await asyncio.sleep(READ_INTERVAL_SECONDS)
            with suppress(TimeoutError):
                # not wait_for: in Python 3.11 it loses a cancellation that comes together with the event
                async with asyncio.timeout(GAP_POLL_INTERVAL_SECONDS if self.has_gap else POLL_INTERVAL_SECONDS):
                    await self._wake.wait()
            self._wake.clear()
            read, self._next_read = self._next_read, asyncio.get_running_loop().create_future()
            try:
                await self.read_all()
            except Exception as error:
                if isinstance(error, Unavailable):
                    logger.warning("Could not read the event log; trying again")
                else:
                    logger.exception("Could not read the event log; trying again")
                await asyncio.sleep(POLL_INTERVAL_SECONDS)
                self.wake()
            read.set_result(None)

    async def read_all(self) -> None:
        """Read all new events; after a rewind, start again."""
        try:
            while await self.read_page():
                pass
        except LogRewound:
            logger.error("The event log was rewound to before event %d; resetting caches and streams", self.position)
            await self.begin()
            self.generation += 1
            for callback in self.on_rewind:
                callback()
            self.wake_waiters()

    async def refresh_position(self) -> int:
        """Return the position after a read that begins now. Concurrent callers share the read."""
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_INTERVAL_SECONDS):
                self._wake.set()
                await asyncio.shield(self._next_read)
        return self.position

    async def read_page(self) -> bool:
        """Read and publish a page of events. Return whether there may be more."""
        commit_order, started_at = copy(self.commit_order), time.monotonic()
        async with self.db.reading() as session:
            rows, deliverable = await self.fetch_page(session, commit_order)
            entries = build_entries(deliverable, self.visibilities)
        self.commit_order = commit_order
        if deliverable:
            self.last = get_identity(deliverable[-1])
        for listener in self.row_listeners:
            listener(rows, self.position, complete_at=started_at if len(rows) < PAGE_SIZE else None)
        if entries:
            self.publish(entries)
        return len(deliverable) == PAGE_SIZE

    async def fetch_page(self, session: AsyncSession, commit_order: CommitOrder) -> tuple[Sequence[Row], Sequence[Row]]:
        """Return the next rows, and those of them that no other row can precede any more.

        The order of the queries matters: transactions before rows to close a gap, rows before transactions to record
        one.
        """
        open_transactions = await queries.fetch_write_transactions(session) if commit_order.gap else frozenset()
        rows = await self.fetch_rows(session, commit_order.position)
        if not queries.ids_may_commit_late(session):
            commit_order.position = rows[-1].id if rows else commit_order.position
            return rows, rows
        deliverable = list(commit_order.deliverable(rows, open_transactions))
        if len(deliverable) < len(rows) and commit_order.gap is None:
            commit_order.gap = Gap(rows[-1].id, await queries.fetch_write_transactions(session))
        return rows, deliverable

    async def fetch_rows(self, session: AsyncSession, position: int) -> Sequence[Row]:
        """Return a page of rows after the position. Raise `LogRewound` if the last event is not what it was.

        The last event may have been pruned together with others that were never read. Then the marker that pruning
        leaves comes first.
        """
        last = self.last
        if last is None:
            return await queries.fetch_events_after(session, position, PAGE_SIZE)
        first, *rows = await queries.fetch_events_after(session, last.id - 1, PAGE_SIZE + 1) or [None]
        if first is None or (first.type != PRUNED and get_identity(first) != last):
            raise LogRewound
        return [row for row in (first, *rows) if row.id > position][:PAGE_SIZE]

    def publish(self, entries: list[Entry]) -> None:
        self.entries.extend(entries)
        if len(self.entries) > 2 * CACHED_ENTRIES:
            self.oldest_cached_id = self.entries[-CACHED_ENTRIES - 1].id
            del self.entries[:-CACHED_ENTRIES]
        self.wake_waiters()
        for listener in list(self.listeners):
            listener(entries)

    def wake_waiters(self) -> None:
        waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def wait_for_growth(self, cursor: int) -> None:
        """Wait until there is an entry after a cursor. Raise `CursorExpired` if the log is rewound meanwhile."""
        generation = self.generation
        while not self.entries or self.entries[-1].id <= cursor:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)
            if self.generation != generation:
                raise CursorExpired

    async def read_after(self, cursor: int) -> tuple[list[Entry], int]:
        """Return the next page of entries after a cursor, from memory or else the table, and the cursor after them.

        A page may be empty although others follow. Raises `CursorExpired` if events after the cursor were deleted.
        """
        position = self.position
        if cursor >= self.oldest_cached_id:
            start = bisect_right(self.entries, cursor, key=lambda entry: entry.id)
            entries = self.entries[start : start + PAGE_SIZE]
            return entries, entries[-1].id if entries else max(cursor, position)
        async with self.db.reading() as session:
            if not await queries.is_available(session, cursor):
                raise CursorExpired
            rows = await queries.fetch_events_after(session, cursor, PAGE_SIZE, position)
        return build_entries(rows, {}), rows[-1].id if rows else position

    async def check_cursor(self, cursor: int) -> None:
        """Raise `CursorExpired` if events after a cursor were deleted, or if the cursor is beyond the log's end."""
        if self.oldest_cached_id <= cursor <= self.position:
            return
        async with self.db.reading() as session:
            newest_id = await queries.fetch_newest_id(session)  # another server may be ahead of this one
            if cursor > max(newest_id, self.position) or not await queries.is_available(session, cursor):
                raise CursorExpired
