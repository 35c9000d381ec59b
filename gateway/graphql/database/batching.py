"""Batch reads from Postgres: requests that wait with the same plan are sent as one statement.

No request waits for a batch to fill. While a connection is idle, a request is sent alone and at once. While all are
busy, requests queue, and the next idle connection takes the oldest together with the others of the same plan.
"""

import asyncio
import re
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import asyncpg

from models.database.postgres import CONNECT_ERRORS, is_unavailable
from models.errors import Unavailable

MAX_BATCH_SIZE = 16


class PendingQuery(NamedTuple):
    sql: str
    parameters: Sequence[Any]
    result: asyncio.Future[Any]
    deadline: float
    """Monotonic time, in seconds, after which it is rejected instead of sent."""


class QueryBatcher:
    """Runs reads over a fixed number of connections.

    It keeps its connections itself: to acquire one from asyncpg's pool and release it takes longer than to read a row.
    """

    def __init__(self, open_connection: Callable[[], Awaitable[asyncpg.Connection]], size: int, timeout: float) -> None:
        """`timeout`: the seconds that a request may wait in the queue."""
        self.open_connection, self.free, self.timeout = open_connection, size, timeout
        self.idle: list[asyncpg.Connection] = []
        """Idle connections. The most recently used is last, and is taken first."""
        self.queue: deque[PendingQuery] = deque()
        self.running: set[asyncio.Task[None]] = set()
        self.statements = 0
        """Number of statements that were sent."""
        self.coalesced = 0
        """Number of requests that were sent in the statement of another."""
        self.splits = 0
        """Number of batches that failed and were repeated one by one."""

    async def fetch_row(self, sql: str, parameters: Sequence[Any]) -> Any:
        result = asyncio.get_running_loop().create_future()
        self.queue.append(PendingQuery(sql, parameters, result, time.monotonic() + self.timeout))
        if self.free:
            self.free -= 1
            task = asyncio.create_task(self.worker())
            self.running.add(task)
            task.add_done_callback(self.running.discard)
        return await result

    async def worker(self) -> None:
        """Run everything in the queue over one connection."""
        try:
            while self.queue:
                connection = self.take_idle() or await self.connect()
                try:
                    await self.run_batches(connection)
                finally:
                    self.idle.append(connection)
        except Exception as error:
            self.reject_all(error)
        finally:
            self.free += 1

    async def connect(self) -> asyncpg.Connection:
        """Open a connection. Raises `Unavailable` for any error, so that clients try again."""
        try:
            return await self.open_connection()
        except CONNECT_ERRORS as error:
            raise unavailable(error) from error

    def take_idle(self) -> asyncpg.Connection | None:
        """Return an idle connection that the server has not closed."""
        while self.idle:
            if not (connection := self.idle.pop()).is_closed():
                return connection
        return None

    async def run_batches(self, connection: asyncpg.Connection) -> None:
        while batch := self.next_batch():
            try:
                resolve(batch, await self.fetch_batch(connection, batch))
            except asyncpg.InternalClientError:
                # The server has announced that it ends the connection. Nothing was sent: another connection will do.
                self.queue.extendleft(reversed(batch))
                connection.terminate()
                return
            except Exception as error:
                if not is_unavailable(error):
                    await self.retry_individually(connection, batch, error)
                    continue
                reject(batch, error)
                if isinstance(error, TimeoutError):  # a reachable server would have cancelled the statement earlier
                    connection.terminate()
                    self.reject_all(error)
                if connection.is_closed():
                    return

    def next_batch(self) -> list[PendingQuery]:
        """Take the oldest query and others of the same plan from the queue. Rejects those past their deadline."""
        now = time.monotonic()
        while self.queue and self.queue[0].deadline < now:
            reject([self.queue.popleft()], TimeoutError())
        if not self.queue:
            return []
        first = self.queue.popleft()
        others = [query for query in self.queue if query.sql == first.sql and first.parameters][: MAX_BATCH_SIZE - 1]
        for query in others:
            self.queue.remove(query)
        return [first, *others]

    async def retry_individually(
        self, connection: asyncpg.Connection, batch: list[PendingQuery], error: Exception
    ) -> None:
        """Repeat a failed batch one by one, so that an invalid parameter fails only its own request."""
        if len(batch) == 1:
            reject(batch, error)
            return
        self.splits += 1
        for query in batch:
            try:
                resolve([query], await self.fetch_batch(connection, [query]))
            except Exception as own_error:
                reject([query], own_error)

    async def fetch_batch(self, connection: asyncpg.Connection, batch: list[PendingQuery]) -> list[Any]:
        self.statements += 1
        if len(batch) == 1:
            return [await connection.fetchrow(batch[0].sql, *batch[0].parameters)]
        self.coalesced += len(batch) - 1
        columns = map(list, zip(*(query.parameters for query in batch), strict=True))
        return await connection.fetch(batched_sql(batch[0].sql), *columns)

    async def close(self) -> None:
        """Wait until the queue is empty, then close the connections."""
        while self.running:
            await asyncio.wait(self.running)
        while self.idle:
            await self.idle.pop().close()

    def reject_all(self, error: Exception) -> None:
        """Reject every query in the queue, because no connection can be opened."""
        reject(self.queue, error)
        self.queue.clear()


def resolve(batch: list[PendingQuery], rows: list[Any]) -> None:
    for query, row in zip(batch, rows, strict=True):
        if not query.result.done():
            query.result.set_result(row)


def reject(batch: Sequence[PendingQuery], error: Exception) -> None:
    for query in batch:
        if not query.result.done():
            is_lost = is_unavailable(error) or isinstance(error, Unavailable)
            query.result.set_exception(unavailable(error) if is_lost else error)


def unavailable(cause: Exception) -> Unavailable:
    error = Unavailable()
    error.__cause__ = cause
    return error


@lru_cache(1000)
def batched_sql(sql: str) -> str:
    """Return the statement over arrays of parameters: one row for each position in the arrays."""
    types = dict(re.findall(r"\$(\d+)::(\w+(?: WITH TIME ZONE)?)", sql))
    numbers = sorted(set(re.findall(r"\$(\d+)", sql)), key=int)
    arrays = ", ".join(f"${number}::{types.get(number, 'text')}[]" for number in numbers)
    names = ", ".join(f"p{number}" for number in numbers)
    each = re.sub(r"\$(\d+)", r"each_.p\1", sql)
    return (
        f"select answer.* from unnest({arrays}) with ordinality as each_({names}, place)"  # noqa: S608 (a plan's own SQL)
        f" cross join lateral ({each}) as answer order by each_.place"
    )
