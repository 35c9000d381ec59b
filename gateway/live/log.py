"""The event log as one process follows it: in the order of ids, nothing early, nothing skipped, nothing twice."""

import asyncio
import logging
import time
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from copy import copy
from weakref import WeakValueDictionary

from sqlalchemy import func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.live.entries import Entry, Sights, with_sights
from gateway.live.horizon import Horizon, Missed, Snapshot
from models import Database, Event
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

SNAPSHOT = [
    literal_column(f"cast(cast(pg_snapshot_{end}(pg_current_snapshot()) as text) as bigint)").label(name)
    for end, name in (("xmin", "oldest"), ("xmax", "next"))
]
"""As `Snapshot`."""
DRAWN = "pg_sequence_last_value(pg_get_serial_sequence('events', 'id')::regclass)"

logger = logging.getLogger("gateway.live")


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
        self._wake = asyncio.Event()
        self._grown = asyncio.get_running_loop().create_future()
        self._read = asyncio.get_running_loop().create_future()
        """Done once the next reading is."""

    @property
    def position(self) -> int:
        """The cursor of this moment: the newest settled id."""
        return self.horizon.position

    def wake(self) -> None:
        """Somebody may have written events."""
        self._wake.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Log"]:
        """Follow the log until the scope is left."""
        await self.begin()
        task = asyncio.create_task(self.follow(), name="event log")
        try:
            yield self
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def begin(self) -> None:
        """Start a little back, since what a transaction drew before now it may commit after."""
        async with self.db.reading() as session:
            newest = await session.scalar(select(func.max(Event.id))) or 0
            mark = await reaches_back_to(session)
            drawn = await newest_drawn(session)
        self.horizon = Horizon(max(newest - LOOK_BACK, mark, 0))
        self.horizon.missed = drawn
        self.floor = self.position
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self.settle(newest, drawn)

    async def settle(self, newest: int, drawn: Missed | None) -> None:
        """Take in all that there is, and pass over ids that were drawn and given up: the first event waits for none."""
        await self.advance()
        while await self.is_pending(drawn) or await self.advance() or self.position < newest:  # noqa: ASYNC110
            await asyncio.sleep(POLL_WAITING)
        if drawn and not self.horizon.is_waiting:
            self.horizon.position = max(self.position, drawn.top)

    async def is_pending(self, drawn: Missed | None) -> bool:
        """Whether somebody who has drawn one of the newest ids may still commit it."""
        if drawn is None or drawn.top <= self.position:
            return False
        async with self.db.reading() as session:
            return not drawn.is_over((await session.execute(select(*SNAPSHOT))).one())

    async def follow(self) -> None:
        while True:
            with suppress(TimeoutError):
                # not wait_for: Python 3.11's loses a cancellation that comes together with the event
                async with asyncio.timeout(POLL_WAITING if self.horizon.is_waiting else POLL):
                    await self._wake.wait()
            self._wake.clear()
            read, self._read = self._read, asyncio.get_running_loop().create_future()
            try:
                while await self.advance():
                    pass
            except Unavailable:
                logger.warning("The event log cannot be read; trying again")
                await asyncio.sleep(POLL)
            except Exception:
                logger.exception("Reading the event log failed; trying again")
                await asyncio.sleep(POLL)
            read.set_result(None)

    async def present(self) -> int:
        """The cursor of this moment, with all that was committed before it; many who ask share one reading."""
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL):
                self._wake.set()
                await asyncio.shield(self._read)
        return self.position

    async def advance(self) -> bool:
        """Take in what has settled; says whether there may be more at once."""
        horizon = copy(self.horizon)
        async with self.db.reading() as session:
            events, snapshot = await beyond(session, self.position, PAGE)
            settled = list(horizon.settled(events, snapshot)) if snapshot else in_order(events, horizon)
            entries = await with_sights(session, told(settled), self.sights)
        self.horizon = horizon
        if entries:
            self.publish(entries)
        return len(settled) == PAGE

    def publish(self, entries: list[Entry]) -> None:
        self.entries.extend(entries)
        if len(self.entries) > 2 * KEPT:
            self.floor = self.entries[-KEPT - 1].id
            del self.entries[:-KEPT]
        grown, self._grown = self._grown, asyncio.get_running_loop().create_future()
        grown.set_result(None)
        for listener in list(self.listeners):
            listener(entries)

    async def growth(self, cursor: int) -> None:
        """Wait until there is something beyond a cursor."""
        while not self.entries or self.entries[-1].id <= cursor:
            await asyncio.shield(self._grown)

    async def after(self, cursor: int) -> list[Entry]:
        """What comes next after a cursor: from memory, or else a page of the table. Empty where nothing has yet.

        Refuses a cursor that the log no longer reaches: `CursorExpired`.
        """
        if cursor >= self.floor:
            start = bisect_right(self.entries, cursor, key=lambda entry: entry.id)
            return self.entries[start : start + PAGE]
        async with self.db.reading() as session:
            if cursor < await reaches_back_to(session):
                raise CursorExpired
            events, _ = await beyond(session, cursor, PAGE, self.position)
            return await with_sights(session, told(events), {})

    async def check(self, cursor: int) -> None:
        """Refuse a cursor that the log no longer reaches, or does not yet: `CursorExpired`."""
        if self.floor <= cursor <= self.position:
            return
        async with self.db.reading() as session:
            newest = await session.scalar(select(func.max(Event.id))) or 0  # another server may be ahead of this one
            if not await reaches_back_to(session) <= cursor <= max(newest, self.position):
                raise CursorExpired


def in_order(events: list[Event], horizon: Horizon) -> list[Event]:
    """On SQLite, which has one writer, what is there is settled."""
    if events:
        horizon.position = events[-1].id
    return events


def told(events: list[Event]) -> list[Event]:
    """Without the mark that pruning leaves, which is nobody's business."""
    return [event for event in events if event.type != START]


async def reaches_back_to(session: AsyncSession) -> int:
    """The id up to which events were forgotten."""
    return await session.scalar(select(func.max(Event.id)).where(Event.type == START)) or 0


async def newest_drawn(session: AsyncSession) -> Missed | None:
    """The newest id that some transaction has drawn, though it may never commit; None where there are no such."""
    if session.get_bind().dialect.name == "sqlite":
        return None
    top, _, next_ = (await session.execute(select(literal_column(DRAWN), *SNAPSHOT))).one()
    return Missed(top or 0, next_, time.monotonic())


async def beyond(
    session: AsyncSession, cursor: int, most: int, until: int | None = None
) -> tuple[list[Event], Snapshot | None]:
    """Events after a cursor, and on Postgres the transactions of the moment that they were read in."""
    wanted = select(Event).where(Event.id > cursor).order_by(Event.id).limit(most)
    if until is not None:
        wanted = wanted.where(Event.id <= until)
    if session.get_bind().dialect.name == "sqlite":
        return list(await session.scalars(wanted)), None
    rows = (await session.execute(wanted.add_columns(*SNAPSHOT))).all()
    return [row[0] for row in rows], Snapshot(*rows[-1][1:]) if rows else Snapshot(0, 0)
