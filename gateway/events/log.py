"""The event log as one process follows it: in the order of ids, nothing early, nothing skipped, nothing twice."""

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

from gateway.events import queries
from gateway.events.commit_order import CommitOrder, Gap
from gateway.events.entry import Entry, VisibilityMap, build_entries
from gateway.tasks.periodic import run_in_background
from models import Database
from models.database.transaction import Transaction
from models.errors import CursorExpired, Unavailable
from models.events import PRUNED

PAGE = 500
CACHED_ENTRIES = 10_000
"""How many entries stay in memory, for those who are a little behind."""
LOOK_BACK = 1_000
"""How many ids back a transaction may have drawn one that it has not committed when the server starts."""
PATIENCE = 2.0
"""Seconds that a start waits for transactions that have yet to commit what came before."""
POLL_INTERVAL = 1.0
"""Seconds until the log is read though nobody was woken: a lost wake-up delays and never loses."""
POLL_WAITING = 0.05
READ_INTERVAL = 0.01
"""Seconds from one reading to the next: whatever is written meanwhile is read together."""

logger = logging.getLogger("gateway.live")


class LogRewound(Exception):
    """The event that was read last is gone, or is another: a backup was restored, or a standby took over that had not
    heard of everything."""


class EventIdentity(NamedTuple):
    """What makes an event the one that it is: in another era the same id may be another's."""

    id: int
    entity_id: UUID
    at: datetime


def identity(row: Row) -> EventIdentity:
    return EventIdentity(row.id, row.entity_id, row.at)


class RowListener(Protocol):
    """Is told of each row as soon as it is seen, in any order, and again until it has settled."""

    def __call__(self, rows: Sequence[Row], position: int, *, all_since: float | None) -> None:
        """Rows beyond what had settled, and up to where that is now; when they were all there was, or None."""


class EventLog:
    """Reads the log once for all who follow it in this process, and keeps its newest part in memory."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.horizon = CommitOrder(0)
        self.entries: list[Entry] = []
        self.oldest_cached_id = 0
        """Whoever has heard everything up to here finds the rest in memory."""
        self.sights: VisibilityMap = WeakValueDictionary()
        self.listeners: set[Callable[[list[Entry]], None]] = set()
        self.row_listeners: set[RowListener] = set()
        self.generation = 0
        """How often the log went back. A cursor of an earlier era says nothing in this one."""
        self.on_rewind: set[Callable[[], None]] = set()
        """Called when another era has begun."""
        self.last: EventIdentity | None = None
        """Of the event that settled last."""
        self._wake = asyncio.Event()
        self._waiting: set[asyncio.Future[None]] = set()
        """One for each who waits for growth: shielding one for all of them would cost several times as much."""
        self._read = asyncio.get_running_loop().create_future()
        """Done once the next reading is."""

    @property
    def position(self) -> int:
        """The cursor of this moment: the newest settled id."""
        return self.horizon.position

    @property
    def is_waiting(self) -> bool:
        """Whether there are events that may not pass yet."""
        return self.horizon.missed is not None

    def wake(self) -> None:
        """Somebody may have written events."""
        self._wake.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["EventLog"]:
        """Follow the log until the scope is left."""
        await self.begin()
        async with run_in_background(self.follow(), "event log"):
            yield self

    async def begin(self) -> None:
        """Start a little back, since what a transaction drew before now it may commit after."""
        async with self.db.reading() as session:
            newest, mark = await queries.newest(session), await queries.pruned_up_to(session)
            drawn = await self.allocated_ids(session)
        self.horizon, self.last = CommitOrder(max(newest - LOOK_BACK, mark, 0), drawn), None
        self.oldest_cached_id = self.position
        self.entries.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self.settle(newest, drawn)

    async def allocated_ids(self, session: Transaction) -> Gap | None:
        """The ids that are there, or may come from those who write now."""
        if not queries.ids_may_commit_late(session):
            return None
        return Gap(await queries.last_allocated_id(session), await queries.open_write_transactions(session))

    async def settle(self, newest: int, drawn: Gap | None) -> None:
        """Take in all that there is, and pass over ids that were given up, so that the first event waits for none."""
        while await self.read_page() or self.position < newest:  # noqa: ASYNC110 - no event tells of a rollback
            await asyncio.sleep(POLL_WAITING)
        if drawn and not await self.is_pending(drawn) and not await self.read_page() and not self.is_waiting:
            self.horizon.position = max(self.position, drawn.highest_id)

    async def is_pending(self, drawn: Gap) -> bool:
        """Whether somebody who had drawn an id may still commit it."""
        async with self.db.reading() as session:
            return not drawn.is_closed(await queries.open_write_transactions(session))

    async def follow(self) -> None:
        while True:
            await asyncio.sleep(READ_INTERVAL)
            with suppress(TimeoutError):
                # not wait_for: Python 3.11's loses a cancellation that comes together with the event
                async with asyncio.timeout(POLL_WAITING if self.is_waiting else POLL_INTERVAL):
                    await self._wake.wait()
            self._wake.clear()
            read, self._read = self._read, asyncio.get_running_loop().create_future()
            try:
                await self.read_all()
            except Unavailable:
                logger.warning("The event log cannot be read; trying again")
                await self.pause()
            except Exception:
                logger.exception("Reading the event log failed; trying again")
                await self.pause()
            read.set_result(None)

    async def read_all(self) -> None:
        """Take in all that there is; from anew, where the log went back."""
        try:
            while await self.read_page():
                pass
        except LogRewound:
            logger.error("The event log went back behind %d; all caches and followers begin anew", self.position)
            await self.begin()
            self.generation += 1
            for begin in self.on_rewind:
                begin()
            self.wake_waiters()

    async def pause(self) -> None:
        """After a reading that failed; then it is tried at once, for what was missed is late already."""
        await asyncio.sleep(POLL_INTERVAL)
        self.wake()

    async def refresh_position(self) -> int:
        """The cursor of this moment, with all that was committed before it; many who ask share one reading."""
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_INTERVAL):
                self._wake.set()
                await asyncio.shield(self._read)
        return self.position

    async def read_page(self) -> bool:
        """Take in what has settled; says whether there may be more at once."""
        horizon, began = copy(self.horizon), time.monotonic()
        async with self.db.reading() as session:
            rows, settled = await self.settled(session, horizon)
            entries = build_entries(settled, self.sights)
        self.horizon, self.last = horizon, identity(settled[-1]) if settled else self.last
        for witness in self.row_listeners:
            witness(rows, self.position, all_since=began if len(rows) < PAGE else None)
        if entries:
            self.publish(entries)
        return len(settled) == PAGE

    async def settled(self, session: Transaction, horizon: CommitOrder) -> tuple[Sequence[Row], list[Row]]:
        """The next rows, and those of them that nothing can come before any more.

        The order of what is asked here is what it rests on.
        """
        writing = await queries.open_write_transactions(session) if horizon.missed else frozenset()
        rows = await self.next_rows(session, horizon.position)
        if not queries.ids_may_commit_late(session):
            horizon.position = rows[-1].id if rows else horizon.position
            return rows, list(rows)
        settled = list(horizon.deliverable(rows, writing))
        if len(settled) < len(rows) and horizon.missed is None:
            horizon.missed = Gap(rows[-1].id, await queries.open_write_transactions(session))
        return rows, settled

    async def next_rows(self, session: Transaction, position: int) -> Sequence[Row]:
        """A page of rows after the position. The event that was read last is read again: `WentBack` unless it stands.

        It may be forgotten together with others that were never read; then the mark that pruning leaves comes first.
        """
        last = self.last
        if last is None:
            return await queries.events_after(session, position, PAGE)
        first, *rows = await queries.events_after(session, last.id - 1, PAGE + 1) or [None]
        if first is None or (first.type != PRUNED and identity(first) != last):
            raise LogRewound
        return [row for row in (first, *rows) if row.id > position][:PAGE]

    def publish(self, entries: list[Entry]) -> None:
        self.entries.extend(entries)
        if len(self.entries) > 2 * CACHED_ENTRIES:
            self.oldest_cached_id = self.entries[-CACHED_ENTRIES - 1].id
            del self.entries[:-CACHED_ENTRIES]
        self.wake_waiters()
        for listener in list(self.listeners):
            listener(entries)

    def wake_waiters(self) -> None:
        """Have everybody who waits look again."""
        waiting, self._waiting = self._waiting, set()
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)

    async def wait_for_growth(self, cursor: int) -> None:
        """Wait until there is something beyond a cursor; `CursorExpired` where the log goes back instead."""
        era = self.generation
        while not self.entries or self.entries[-1].id <= cursor:
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.add(waiter)
            try:
                await waiter
            finally:
                self._waiting.discard(waiter)
            if self.generation != era:
                raise CursorExpired

    async def after(self, cursor: int) -> tuple[list[Entry], int]:
        """What comes next after a cursor, from memory or else a page of the table; and the cursor after that.

        A page may be empty though others follow. Refuses a cursor that the log no longer reaches: `CursorExpired`.
        """
        position = self.position
        if cursor >= self.oldest_cached_id:
            start = bisect_right(self.entries, cursor, key=lambda entry: entry.id)
            entries = self.entries[start : start + PAGE]
            return entries, entries[-1].id if entries else max(cursor, position)
        async with self.db.reading() as session:
            if not await queries.is_available(session, cursor):
                raise CursorExpired
            rows = await queries.events_after(session, cursor, PAGE, position)
        return build_entries(rows, {}), rows[-1].id if rows else position

    async def check_cursor(self, cursor: int) -> None:
        """Refuse a cursor that the log no longer reaches, or does not yet: `CursorExpired`."""
        if self.oldest_cached_id <= cursor <= self.position:
            return
        async with self.db.reading() as session:
            newest = await queries.newest(session)  # another server may be ahead of this one
            if cursor > max(newest, self.position) or not await queries.is_available(session, cursor):
                raise CursorExpired
