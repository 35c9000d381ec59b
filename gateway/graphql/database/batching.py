"""Requests that wait with the same plan go to Postgres as one statement.

Nobody waits on purpose: while a connection is free a request leaves at once and alone. While all are busy, requests
queue, and the next free connection takes the oldest with every other one of its plan.
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

MOST = 16


class PendingQuery(NamedTuple):
    sql: str
    parameters: Sequence[Any]
    answer: asyncio.Future[Any]
    until: float
    """When it has waited too long, on the clock that never goes back."""


class QueryBatcher:
    """Runs statements that read, over so many connections at once.

    They are kept here, since to take one from a pool and to give it back costs more than to ask it for a row.
    """

    def __init__(self, open_connection: Callable[[], Awaitable[asyncpg.Connection]], size: int, timeout: float) -> None:
        """`timeout`: the seconds that a request waits for its turn at most."""
        self.open_connection, self.free, self.timeout = open_connection, size, timeout
        self.resting: list[asyncpg.Connection] = []
        """Connections that nobody uses now; those used last are last, and used first."""
        self.queue: deque[PendingQuery] = deque()
        self.running: set[asyncio.Task[None]] = set()
        self.statements = 0
        """How many statements were sent."""
        self.coalesced = 0
        """How many requests travelled in the statement of another."""
        self.splits = 0
        """How many groups failed and were sent again one by one; a sound plan is never split."""

    async def fetch_row(self, sql: str, parameters: Sequence[Any]) -> Any:
        answer = asyncio.get_running_loop().create_future()
        self.queue.append(PendingQuery(sql, parameters, answer, time.monotonic() + self.timeout))
        if self.free:
            self.free -= 1
            task = asyncio.create_task(self.worker())
            self.running.add(task)
            task.add_done_callback(self.running.discard)
        return await answer

    async def worker(self) -> None:
        """Answer everything that waits, then rest."""
        try:
            while self.queue:
                connection = self.take_idle() or await self.connect()
                try:
                    await self.run_batches(connection)
                finally:
                    self.resting.append(connection)
        except Exception as error:
            self.give_up(error)
        finally:
            self.free += 1

    async def connect(self) -> asyncpg.Connection:
        """A new one. Why there is none, in whatever words, is the database's affair: clients come again."""
        try:
            return await self.open_connection()
        except CONNECT_ERRORS as error:
            raise unavailable(error) from error

    def take_idle(self) -> asyncpg.Connection | None:
        """One that is still connected. A server that went away has closed them all."""
        while self.resting:
            if not (connection := self.resting.pop()).is_closed():
                return connection
        return None

    async def run_batches(self, connection: asyncpg.Connection) -> None:
        while group := self.next_batch():
            try:
                resolve(group, await self.rows(connection, group))
            except asyncpg.InternalClientError:
                # The server has said that it ends the connection, and is about to: nothing was sent, another will do.
                self.queue.extendleft(reversed(group))
                connection.terminate()
                return
            except Exception as error:
                if not is_unavailable(error):
                    await self.retry_individually(connection, group, error)
                    continue
                reject(group, error)
                if isinstance(error, TimeoutError):  # a server that is there ends a statement earlier, by itself
                    connection.terminate()
                    self.give_up(error)
                if connection.is_closed():
                    return

    def next_batch(self) -> list[PendingQuery]:
        """The oldest that waits, with others of its plan. Nobody, if nobody waits any more."""
        now = time.monotonic()
        while self.queue and self.queue[0].until < now:
            reject([self.queue.popleft()], TimeoutError())
        if not self.queue:
            return []
        first = self.queue.popleft()
        alike = [other for other in self.queue if other.sql == first.sql and first.parameters][: MOST - 1]
        for other in alike:
            self.queue.remove(other)
        return [first, *alike]

    async def retry_individually(
        self, connection: asyncpg.Connection, group: list[PendingQuery], error: Exception
    ) -> None:
        """One request's bad parameter must not fail its neighbours."""
        if len(group) == 1:
            reject(group, error)
            return
        self.splits += 1
        for waiting in group:
            try:
                resolve([waiting], await self.rows(connection, [waiting]))
            except Exception as own:
                reject([waiting], own)

    async def rows(self, connection: asyncpg.Connection, group: list[PendingQuery]) -> list[Any]:
        self.statements += 1
        if len(group) == 1:
            return [await connection.fetchrow(group[0].sql, *group[0].parameters)]
        self.coalesced += len(group) - 1
        columns = map(list, zip(*(waiting.parameters for waiting in group), strict=True))
        return await connection.fetch(batched_sql(group[0].sql), *columns)

    async def close(self) -> None:
        """Once everything that waits has been answered."""
        while self.running:
            await asyncio.wait(self.running)
        while self.resting:
            await self.resting.pop().close()

    def give_up(self, error: Exception) -> None:
        """No connection can be had: whoever waits is told so now."""
        reject(self.queue, error)
        self.queue.clear()


def resolve(group: list[PendingQuery], found: list[Any]) -> None:
    for waiting, row in zip(group, found, strict=True):
        if not waiting.answer.done():
            waiting.answer.set_result(row)


def reject(group: Sequence[PendingQuery], error: Exception) -> None:
    for waiting in group:
        if not waiting.answer.done():
            is_refused = is_unavailable(error) or isinstance(error, Unavailable)
            waiting.answer.set_exception(unavailable(error) if is_refused else error)


def unavailable(error: Exception) -> Unavailable:
    refusal = Unavailable()
    refusal.__cause__ = error
    return refusal


@lru_cache(1000)
def batched_sql(sql: str) -> str:
    """The same statement over arrays of parameters: one row of answers for each place in them."""
    types = dict(re.findall(r"\$(\d+)::(\w+(?: WITH TIME ZONE)?)", sql))
    numbers = sorted(set(re.findall(r"\$(\d+)", sql)), key=int)
    arrays = ", ".join(f"${number}::{types.get(number, 'text')}[]" for number in numbers)
    names = ", ".join(f"p{number}" for number in numbers)
    each = re.sub(r"\$(\d+)", r"each_.p\1", sql)
    return (
        f"select answer.* from unnest({arrays}) with ordinality as each_({names}, place)"  # noqa: S608 (a plan's own SQL)
        f" cross join lateral ({each}) as answer order by each_.place"
    )
