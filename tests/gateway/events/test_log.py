"""The log: in the order of ids, with nothing skipped and nothing early, however transactions commit."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.adapters.storage import create_storage
from gateway.events.log import EventLog
from gateway.tasks.cleanup import run_cleanup_jobs
from models import Database, Event, new_id, utcnow
from models.errors import CursorExpired, Unavailable
from models.events import BULK_CHANGE, PRUNED
from resolvers.cleanup import prune_events
from tests.support.waiting import TEST_TIMEOUT_SECONDS, wait_until, within

pytestmark = pytest.mark.anyio


@pytest.fixture
async def db(database_url: str, anyio_backend: str) -> AsyncIterator[Database]:
    db = Database(database_url)
    yield db
    await db.close()


@pytest.fixture
async def postgres(postgres_url: str, anyio_backend: str) -> AsyncIterator[Database]:
    db = Database(postgres_url)
    yield db
    await db.close()


def event(type: str = "post.liked", **values: Any) -> Event:
    return Event(type=type, entity_id=new_id(), **values)


async def write(db: Database, *events: Event) -> list[int]:
    """Commit events together; their ids."""
    async with db.writing() as session:
        session.add_all(events)
        await session.flush()
        return [event.id for event in events]


async def give_up(db: Database) -> None:
    """Draw an id, and roll back."""
    with suppress(Unavailable):
        async with db.writing() as session:
            session.add(event())
            await session.flush()
            raise Unavailable


@asynccontextmanager
async def following(db: Database) -> AsyncIterator[tuple[EventLog, list[int]]]:
    """A log, and the ids that it has told its listeners."""
    async with EventLog(db).running() as log:
        received: list[int] = []
        log.listeners.add(lambda entries: received.extend(entry.id for entry in entries))
        yield log, received


async def told(received: list[int], ids: list[int], patience: float = 2.0) -> None:
    async with within(patience):
        while received[-len(ids) :] != ids:  # noqa: ASYNC110 - it is looked at from outside
            await asyncio.sleep(0.01)


async def test_what_is_written_is_heard_in_order(db: Database) -> None:
    """Though nobody says a word: the log is looked at every second."""
    async with following(db) as (log, received):
        ids = await write(db, *(event() for _ in range(5)))
        await told(received, ids)
        assert received == ids
        assert log.position == ids[-1]


async def test_a_wake_up_saves_the_wait(db: Database) -> None:
    """It is heard at once."""
    async with following(db) as (log, received):
        ids = await write(db, event())
        log.wake()
        await told(received, ids, patience=0.5)


async def test_a_late_commit_is_neither_skipped_nor_overtaken(postgres: Database) -> None:
    """The transaction that drew the lower id commits last: the higher ones wait for it."""
    async with following(postgres) as (log, received):
        async with postgres.writing() as late:
            first = event()
            late.add(first)
            await late.flush()
            ids = await write(postgres, event(), event())
            await log.refresh_position()
            assert received == []
            assert log.position < first.id
        log.wake()
        await told(received, [first.id, *ids])
        assert received == [first.id, *ids]


async def test_an_id_that_was_given_up_holds_nobody_up(postgres: Database) -> None:
    """Once whoever drew it has rolled back."""
    async with following(postgres) as (log, received):
        await give_up(postgres)
        ids = await write(postgres, event())
        log.wake()
        await told(received, ids, patience=1.0)


async def test_only_transactions_that_write_events_are_waited_for(postgres: Database) -> None:
    """A long transaction that writes other tables holds up nothing."""
    async with following(postgres) as (log, received), postgres.writing() as long:
        await long.execute(text("update users set name = name"))
        await long.execute(text("select pg_current_xact_id()"))
        await give_up(postgres)
        ids = await write(postgres, event())
        log.wake()
        await told(received, ids, patience=1.0)


async def test_several_transactions_interleave(postgres: Database) -> None:
    """Ids drawn in one order, committed in another, one of them never: told in the order of ids."""
    async with following(postgres) as (log, received), AsyncExitStack() as stack:
        sessions = [await stack.enter_async_context(AsyncSession(postgres.engine)) for _ in range(5)]
        ids = []
        for session in sessions:
            session.add(drawn := event())
            await session.flush()
            ids.append(drawn.id)
        await sessions[4].commit()
        await sessions[2].commit()
        await sessions[1].rollback()
        await log.refresh_position()
        assert received == []
        await sessions[0].commit()
        await log.refresh_position()
        assert received == ids[:1], "the third might still be preceded by the second, as far as anybody can tell"
        await sessions[3].commit()
        await told(received, [ids[0], ids[2], ids[3], ids[4]])


async def test_a_log_that_starts_waits_for_what_is_under_way(postgres: Database) -> None:
    """An id drawn before the start and committed after it is told, not skipped."""
    async with postgres.writing() as late:
        first = event()
        late.add(first)
        await late.flush()
        ids = await write(postgres, event())
        log = EventLog(postgres)
        starting = asyncio.create_task(log.begin())
        await wait_until(lambda: log.has_gap)
    await starting
    assert [entry.id for entry in log.entries] == [first.id, *ids]


async def test_a_log_starts_beyond_ids_that_nobody_will_use(
    postgres: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first event after a start is heard at once, though ids before it were given up."""
    monkeypatch.setattr("gateway.events.log.POLL_INTERVAL_SECONDS", 2 * TEST_TIMEOUT_SECONDS)
    await give_up(postgres)
    async with following(postgres) as (log, received):
        (id,) = await write(postgres, event())
        assert log.position == id - 1
        log.wake()
        await told(received, [id], TEST_TIMEOUT_SECONDS)


async def test_a_reading_that_fails_loses_nothing(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even when it fails half-way."""
    request = asyncio.Event()

    async def broken(*_: Any) -> Any:
        request.set()
        raise Unavailable

    async with following(db) as (log, received):
        with monkeypatch.context() as patch:
            patch.setattr("gateway.events.log.queries.fetch_events_after", broken)
            ids = await write(db, event())
            log.wake()
            await asyncio.wait_for(request.wait(), TEST_TIMEOUT_SECONDS)
            assert received == []
        await told(received, ids)


async def test_memory_keeps_the_newest(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Older ones are read from the table again, a page at a time."""
    monkeypatch.setattr("gateway.events.log.CACHED_ENTRIES", 5)
    monkeypatch.setattr("gateway.events.log.PAGE_SIZE", 4)
    async with following(db) as (log, received):
        ids = await write(db, *(event() for _ in range(23)))
        log.wake()
        await told(received, ids)
        assert 5 <= len(log.entries) <= 10
        found, cursor = [], ids[0] - 1
        while page := (await log.read_after(cursor))[0]:
            found += [entry.id for entry in page]
            cursor = found[-1]
        assert found == ids


async def test_pruning_leaves_a_mark(db: Database) -> None:
    """Whoever has heard up to the mark goes on from there; whoever has not must begin anew."""
    old = utcnow() - timedelta(days=8)
    ids = await write(db, *(event(at=old) for _ in range(3)), event(), event())
    assert await prune_events(db, timedelta(days=7)) == 2
    assert await prune_events(db, timedelta(days=7)) == 0
    async with db.reading() as session:
        rows = (await session.execute(select(Event.id, Event.type).order_by(Event.id))).all()
    assert [tuple(row) for row in rows] == [(ids[2], PRUNED), (ids[3], "post.liked"), (ids[4], "post.liked")]
    log = EventLog(db)
    await log.begin()
    await log.check_cursor(ids[2])
    assert [entry.id for entry in (await log.read_after(ids[2]))[0]] == ids[3:]
    for rejected in (ids[1], ids[4] + 1):
        with pytest.raises(CursorExpired):
            await log.check_cursor(rejected)
    with pytest.raises(CursorExpired):
        await log.read_after(ids[1])


async def test_much_is_pruned_little_by_little(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """In several transactions, each of which leaves a log that is whole."""
    monkeypatch.setattr("resolvers.cleanup.EVENT_BATCH_SIZE", 3)
    old = utcnow() - timedelta(days=8)
    ids = await write(db, *(event(at=old) for _ in range(10)), event())
    assert await prune_events(db, timedelta(days=7)) == 9
    async with db.reading() as session:
        rows = (await session.execute(select(Event.id, Event.type).order_by(Event.id))).all()
    assert [tuple(row) for row in rows] == [(ids[9], PRUNED), (ids[10], "post.liked")]


@pytest.mark.parametrize("page", [2, 10_000])
async def test_an_event_that_a_slow_clock_dated_takes_none_with_it(
    db: Database, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    """What is young stays, and so does the misdated event itself until it is the first."""
    monkeypatch.setattr("resolvers.cleanup.EVENT_BATCH_SIZE", page)
    old = utcnow() - timedelta(days=8)
    ids = await write(db, *(event(at=old) for _ in range(4)), event(), event(at=old), event(), event(at=old))
    assert await prune_events(db, timedelta(days=7)) == 3
    async with db.reading() as session:
        rows = (await session.execute(select(Event.id, Event.type).order_by(Event.id))).all()
    assert [tuple(row) for row in rows] == [(ids[3], PRUNED), *((id, "post.liked") for id in ids[4:])]


async def test_rows_that_somebody_deleted_are_missed_too(db: Database) -> None:
    """Though there is no mark; to begin with the first there is asks for no more than that."""
    ids = await write(db, *(event() for _ in range(4)))
    async with db.writing() as session:
        await session.execute(delete(Event).where(Event.id < ids[2]))
    log = EventLog(db)
    await log.begin()
    log.oldest_cached_id = log.position
    for kept in (0, ids[1], ids[2], ids[3]):
        await log.check_cursor(kept)
    with pytest.raises(CursorExpired):
        await log.check_cursor(ids[0])
    log.entries.clear()
    assert [entry.id for entry in (await log.read_after(0))[0]] == ids[2:]


async def test_another_server_s_cursor_may_be_ahead(db: Database) -> None:
    """What is in the table was told by somebody."""
    log = EventLog(db)
    await log.begin()
    (id,) = await write(db, event())
    await log.check_cursor(id)


async def test_events_are_pruned_in_the_background(db: Database, tmp_path: Path) -> None:
    """More often where little is kept."""
    await write(db, event(at=utcnow() - timedelta(seconds=5)), event(at=utcnow() - timedelta(seconds=5)))
    async with run_cleanup_jobs(db, create_storage(f"file://{tmp_path}"), timedelta(seconds=1)), within(2):
        while True:
            async with db.reading() as session:
                if await session.scalar(text("select count(*) from events")) == 1:
                    break
            await asyncio.sleep(0.02)


async def test_a_page_of_what_nobody_is_told_hides_nothing(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written for servers alone fills a page of the table too."""
    monkeypatch.setattr("gateway.events.log.PAGE_SIZE", 3)
    (before,) = await write(db, event())
    await write(db, *(event(BULK_CHANGE) for _ in range(7)))
    (after,) = await write(db, event())
    log = EventLog(db)
    await log.begin()
    log.oldest_cached_id = log.position
    log.entries.clear()
    found, cursor = [], before
    while cursor < log.position:
        page, cursor = await log.read_after(cursor)
        found += [entry.id for entry in page]
    assert found == [after]


async def test_a_log_that_went_back_is_followed_from_there(db: Database) -> None:
    """A backup was restored, whose next events have ids that others had."""
    begun = []
    async with following(db) as (log, received):
        log.on_rewind.add(lambda: begun.append(log.position))
        kept, *lost = await write(db, *(event() for _ in range(4)))
        log.wake()
        await told(received, [kept, *lost])
        waiting = asyncio.ensure_future(log.wait_for_growth(lost[-1]))
        async with db.writing() as session:
            await session.execute(delete(Event).where(Event.id > kept))
            session.add(Event(id=lost[-1], type="post.liked", entity_id=new_id()))
        async with within(TEST_TIMEOUT_SECONDS):
            with pytest.raises(CursorExpired):
                await waiting
        assert (begun, log.generation, log.position) == ([lost[-1]], 1, lost[-1])
        ids = await write(db, event()) if db.is_sqlite else []
        await told(received, [lost[-1], *ids])
