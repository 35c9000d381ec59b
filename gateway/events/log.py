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
from gateway.events.commit_order import Horizon, Missed
from gateway.events.entry import Entry, Sights, entries_of
from gateway.tasks.periodic import alongside
from models import Database
from models.database.transaction import Transaction
from models.errors import CursorExpired, Unavailable
from models.events import START

PAGE = 500
KEPT = 10_000
"""How many entries stay in memory, for those who are a little behind."""
LOOK_BACK = 1_000
"""How many ids back a transaction may have drawn one that it has not committed when the server starts."""
PATIENCE = 2.0
"""Seconds that a start waits for transactions that have yet to commit what came before."""
POLL = 1.0
"""Seconds until the log is read though nobody was woken: a lost wake-up delays and never loses."""
POLL_WAITING = 0.05
APART = 0.01
"""Seconds from one reading to the next: whatever is written meanwhile is read together."""

logger = logging.getLogger("gateway.live")


class WentBack(Exception):
    """The event that was read last is gone, or is another: a backup was restored, or a standby took over that had not
    heard of everything."""


class Identity(NamedTuple):
    """What makes an event the one that it is: in another era the same id may be another's."""

    id: int
    entity_id: UUID
    at: datetime


def identity(row: Row) -> Identity:
    return Identity(row.id, row.entity_id, row.at)


class Witness(Protocol):
    """Is told of each row as soon as it is seen, in any order, and again until it has settled."""

    def __call__(self, rows: Sequence[Row], position: int, *, all_since: float | None) -> None:
        """Rows beyond what had settled, and up to where that is now; when they were all there was, or None."""


class Log:
    """Reads the log once for all who follow it in this process, and keeps its newest part in memory."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.horizon = Horizon(0)
        self.entries: list[Entry] = []
        self.floor = 0
        """Whoever has heard everything up to here finds the rest in memory."""
        self.sights: Sights = WeakValueDictionary()
        self.listeners: set[Callable[[list[Entry]], None]] = set()
        self.witnesses: set[Witness] = set()
        self.era = 0
        """How often the log went back. A cursor of an earlier era says nothing in this one."""
        self.beginnings: set[Callable[[], None]] = set()
        """Called when another era has begun."""
        self.last: Identity | None = None
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
    async def running(self) -> AsyncIterator["Log"]:
        """Follow the log until the scope is left."""
        await self.begin()
        async with alongside(self.follow(), "event log"):
            yield self

    async def begin(self) -> None:
        """Start a little back, since what a transaction drew before now it may commit after."""
        async with self.db.reading() as session:
            newest, mark = await queries.newest(session), await queries.reaches_back_to(session)
            drawn = await self.drawn(session)
        self.horizon, self.last = Horizon(max(newest - LOOK_BACK, mark, 0), drawn), None
        self.floor = self.position
        self.entries.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self.settle(newest, drawn)

    async def drawn(self, session: Transaction) -> Missed | None:
        """The ids that are there, or may come from those who write now."""
        if not queries.may_have_gaps(session):
            return None
        return Missed(await queries.newest_drawn(session), await queries.writers(session))

    async def settle(self, newest: int, drawn: Missed | None) -> None:
        """Take in all that there is, and pass over ids that were given up, so that the first event waits for none."""
        while await self.advance() or self.position < newest:  # noqa: ASYNC110 - no event tells of a rollback
            await asyncio.sleep(POLL_WAITING)
        if drawn and not await self.is_pending(drawn) and not await self.advance() and not self.is_waiting:
            self.horizon.position = max(self.position, drawn.top)

    async def is_pending(self, drawn: Missed) -> bool:
        """Whether somebody who had drawn an id may still commit it."""
        async with self.db.reading() as session:
            return not drawn.is_over(await queries.writers(session))

    async def follow(self) -> None:
        while True:
            await asyncio.sleep(APART)
            with suppress(TimeoutError):
                # not wait_for: Python 3.11's loses a cancellation that comes together with the event
                async with asyncio.timeout(POLL_WAITING if self.is_waiting else POLL):
                    await self._wake.wait()
            self._wake.clear()
            read, self._read = self._read, asyncio.get_running_loop().create_future()
            try:
                await self.keep_up()
            except Unavailable:
                logger.warning("The event log cannot be read; trying again")
                await self.pause()
            except Exception:
                logger.exception("Reading the event log failed; trying again")
                await self.pause()
            read.set_result(None)

    async def keep_up(self) -> None:
        """Take in all that there is; from anew, where the log went back."""
        try:
            while await self.advance():
                pass
        except WentBack:
            logger.error("The event log went back behind %d; all caches and followers begin anew", self.position)
            await self.begin()
            self.era += 1
            for begin in self.beginnings:
                begin()
            self.let_go()

    async def pause(self) -> None:
        """After a reading that failed; then it is tried at once, for what was missed is late already."""
        await asyncio.sleep(POLL)
        self.wake()

    async def present(self) -> int:
        """The cursor of this moment, with all that was committed before it; many who ask share one reading."""
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL):
                self._wake.set()
                await asyncio.shield(self._read)
        return self.position

    async def advance(self) -> bool:
        """Take in what has settled; says whether there may be more at once."""
        horizon, began = copy(self.horizon), time.monotonic()
        async with self.db.reading() as session:
            rows, settled = await self.settled(session, horizon)
            entries = entries_of(settled, self.sights)
        self.horizon, self.last = horizon, identity(settled[-1]) if settled else self.last
        for witness in self.witnesses:
            witness(rows, self.position, all_since=began if len(rows) < PAGE else None)
        if entries:
            self.publish(entries)
        return len(settled) == PAGE

    async def settled(self, session: Transaction, horizon: Horizon) -> tuple[Sequence[Row], list[Row]]:
        """The next rows, and those of them that nothing can come before any more.

        The order of what is asked here is what it rests on.
        """
        writing = await queries.writers(session) if horizon.missed else frozenset()
        rows = await self.beyond(session, horizon.position)
        if not queries.may_have_gaps(session):
            horizon.position = rows[-1].id if rows else horizon.position
            return rows, list(rows)
        settled = list(horizon.settled(rows, writing))
        if len(settled) < len(rows) and horizon.missed is None:
            horizon.missed = Missed(rows[-1].id, await queries.writers(session))
        return rows, settled

    async def beyond(self, session: Transaction, position: int) -> Sequence[Row]:
        """A page of rows after the position. The event that was read last is read again: `WentBack` unless it stands.

        It may be forgotten together with others that were never read; then the mark that pruning leaves comes first.
        """
        last = self.last
        if last is None:
            return await queries.beyond(session, position, PAGE)
        first, *rows = await queries.beyond(session, last.id - 1, PAGE + 1) or [None]
        if first is None or (first.type != START and identity(first) != last):
            raise WentBack
        return [row for row in (first, *rows) if row.id > position][:PAGE]

    def publish(self, entries: list[Entry]) -> None:
        self.entries.extend(entries)
        if len(self.entries) > 2 * KEPT:
            self.floor = self.entries[-KEPT - 1].id
            del self.entries[:-KEPT]
        self.let_go()
        for listener in list(self.listeners):
            listener(entries)

    def let_go(self) -> None:
        """Have everybody who waits look again."""
        waiting, self._waiting = self._waiting, set()
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)

    async def growth(self, cursor: int) -> None:
        """Wait until there is something beyond a cursor; `CursorExpired` where the log goes back instead."""
        era = self.era
        while not self.entries or self.entries[-1].id <= cursor:
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.add(waiter)
            try:
                await waiter
            finally:
                self._waiting.discard(waiter)
            if self.era != era:
                raise CursorExpired

    async def after(self, cursor: int) -> tuple[list[Entry], int]:
        """What comes next after a cursor, from memory or else a page of the table; and the cursor after that.

        A page may be empty though others follow. Refuses a cursor that the log no longer reaches: `CursorExpired`.
        """
        position = self.position
        if cursor >= self.floor:
            start = bisect_right(self.entries, cursor, key=lambda entry: entry.id)
            entries = self.entries[start : start + PAGE]
            return entries, entries[-1].id if entries else max(cursor, position)
        async with self.db.reading() as session:
            if not await queries.reaches(session, cursor):
                raise CursorExpired
            rows = await queries.beyond(session, cursor, PAGE, position)
        return entries_of(rows, {}), rows[-1].id if rows else position

    async def check(self, cursor: int) -> None:
        """Refuse a cursor that the log no longer reaches, or does not yet: `CursorExpired`."""
        if self.floor <= cursor <= self.position:
            return
        async with self.db.reading() as session:
            newest = await queries.newest(session)  # another server may be ahead of this one
            if cursor > max(newest, self.position) or not await queries.reaches(session, cursor):
                raise CursorExpired
