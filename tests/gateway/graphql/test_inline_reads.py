"""SQLite's short reads on the event loop, and what becomes of those that are not short."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.graphql.database import Sqlite
from gateway.graphql.database.sqlite import (
    MAX_SKIPPED_STATEMENTS,
    MAX_STATEMENT_LENGTH,
    SKIP_COUNT,
    TIME_BUDGET_SECONDS,
)
from models.database import sqlite
from models.errors import Unavailable
from tests.support.waiting import wait_until

pytestmark = pytest.mark.anyio

COUNTED = "with recursive n(i) as (select 1 union all select i + 1 from n where i < ?) select count(*) from n"
FEW, MANY = 10, 1_000_000
SUM = "select total(n) from numbers"
SLOW_MACHINE = 20
"""How many times its budget a statement may take of the loop's processor time here."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "numbers.db"


@pytest.fixture
def writer(path: Path) -> Iterator[Any]:
    """Somebody else's connection, which waits for nobody."""
    connection = sqlite.connect_sync(path, read_only=False, busy_timeout_ms=0)
    connection.execute("create table numbers (n integer)")
    yield connection
    connection.close()


@pytest.fixture
async def reads(anyio_backend: str, path: Path, writer: Any) -> AsyncIterator[Sqlite]:
    reads = await Sqlite.open(path)
    yield reads
    await reads.close()


async def test_a_short_read_needs_no_thread(reads: Sqlite) -> None:
    """However often it is asked."""
    for _ in range(100):
        assert await reads.fetch_row(COUNTED, [FEW]) == (FEW,)
    assert (reads.statements, reads.threaded) == (100, 0)


async def test_a_long_read_is_asked_again_in_a_thread(reads: Sqlite) -> None:
    """It is answered as if nothing had happened, and goes there at once for a while, even where it would be short."""
    assert await reads.fetch_row(COUNTED, [MANY]) == (MANY,)
    assert (reads.threaded, reads.inline.skipped) == (1, {COUNTED: SKIP_COUNT})
    for _ in range(SKIP_COUNT):
        assert await reads.fetch_row(COUNTED, [FEW]) == (FEW,)
    assert (reads.threaded, reads.inline.skipped) == (1 + SKIP_COUNT, {})
    assert await reads.fetch_row(COUNTED, [FEW]) == (FEW,)
    assert reads.threaded == 1 + SKIP_COUNT


async def test_a_long_text_is_prepared_in_a_thread(reads: Sqlite) -> None:
    """That takes its time before there is anything to interrupt."""
    assert await reads.fetch_row(f"select 'x' -- {'.' * MAX_STATEMENT_LENGTH}", []) == ("x",)
    assert (reads.threaded, reads.inline.skipped) == (1, {})


async def test_long_reads_are_remembered_up_to_a_bound(reads: Sqlite) -> None:
    """The oldest is forgotten."""
    for number in range(MAX_SKIPPED_STATEMENTS + 5):
        reads.inline.skip(f"select {number}")
    assert [*reads.inline.skipped] == [f"select {number}" for number in range(5, MAX_SKIPPED_STATEMENTS + 5)]


async def test_no_read_holds_the_event_loop(reads: Sqlite) -> None:
    """One that never ends takes no more of it than its budget, while it is tried and while a thread has it."""
    spent = []
    for number in range(5):
        before = time.thread_time()
        request = asyncio.create_task(reads.fetch_row(f"{COUNTED} where {number} < 5", [10**12]))
        await asyncio.sleep(0.05)
        spent.append(time.thread_time() - before)
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
    assert reads.threaded == 5
    assert min(spent) > TIME_BUDGET_SECONDS
    assert max(spent) < SLOW_MACHINE * TIME_BUDGET_SECONDS


async def test_short_reads_are_answered_while_a_long_one_runs(reads: Sqlite) -> None:
    """Whoever asks next does not wait for it."""
    long = asyncio.create_task(reads.fetch_row(COUNTED, [10**12]))
    for number in range(100):
        assert await reads.fetch_row("select ?", [number]) == (number,)
    assert (reads.threaded, long.done()) == (1, False)
    long.cancel()
    with pytest.raises(asyncio.CancelledError):
        await long


async def test_a_request_cancelled_before_its_thread_starts_leaves_no_work(reads: Sqlite) -> None:
    """What cannot be interrupted yet is interrupted later, and its connection is nobody else's until then."""
    for number in range(30):
        request = asyncio.create_task(reads.fetch_row(f"{COUNTED} where {number} < 30", [10**12]))
        await asyncio.sleep(0)
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
    await wait_until(lambda: reads.idle.qsize() == len(reads.connections) and not reads.cancelling)


async def test_a_long_series_of_reads_yields_to_other_tasks(reads: Sqlite) -> None:
    """A read that waits for nobody would never give way by itself."""
    turns = []

    async def client(name: str) -> None:
        for _ in range(3):
            await reads.fetch_row(COUNTED, [FEW])
            turns.append(name)

    await asyncio.gather(client("a"), client("b"))
    assert turns == ["a", "b"] * 3


async def test_a_locked_file_is_waited_for_in_a_thread(path: Path) -> None:
    """Nobody else is kept, and the answer is what is there once the lock is gone."""
    writer = sqlite.connect_sync(path, read_only=False, busy_timeout_ms=0)
    writer.execute("pragma journal_mode = delete")  # where writers lock readers out
    writer.execute("create table numbers as select 1 as n")
    reads = await Sqlite.open(path)
    writer.execute("begin exclusive")
    writer.execute("insert into numbers values (2)")
    before = time.thread_time()
    request = asyncio.create_task(reads.fetch_row(SUM, []))
    await asyncio.sleep(0.1)
    assert time.thread_time() - before < SLOW_MACHINE * TIME_BUDGET_SECONDS
    assert (request.done(), reads.threaded, reads.inline.skipped) == (False, 1, {})
    writer.execute("commit")
    assert await request == (3,)
    assert await reads.fetch_row(SUM, []) == (3,)
    assert reads.threaded == 1
    await reads.close()
    writer.close()


async def test_a_read_keeps_nothing_locked(reads: Sqlite, writer: Any) -> None:
    """Answered or given up: the write-ahead log can be emptied, and the next read sees what is new."""
    for total in range(1, 5):
        writer.execute("insert into numbers values (1)")
        assert await reads.fetch_row(SUM, []) == (total,)
        given_up = f"select count(*) from numbers, ({COUNTED.replace('?', str(total * MANY))})"
        assert reads.inline.fetch_row(given_up, []) is None
        assert given_up in reads.inline.skipped
        assert writer.execute("pragma wal_checkpoint(truncate)").fetchone() == (0, 0, 0)


async def test_what_is_wrong_is_said_as_before(reads: Sqlite) -> None:
    """A thread has the last word, and nothing is taken for long because of it."""
    with pytest.raises(Unavailable):
        await reads.fetch_row("delete from numbers returning n", [])
    with pytest.raises(sqlite.sqlite.OperationalError, match="no such table"):
        await reads.fetch_row("select n from letters", [])
    assert (reads.threaded, reads.inline.skipped) == (2, {})
