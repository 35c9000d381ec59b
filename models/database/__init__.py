"""The database as operations use it: a scope to read in, and a scope to write in that commits or leaves nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from functools import cached_property
from typing import Any

from sqlalchemy import URL, make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from models.database.engine import engine_of
from models.database.pool import UNREACHED, Answer, Connection, Pool, Postgres, Sqlite
from models.database.statements import Statements
from models.database.transaction import Transaction
from models.errors import Unavailable
from models.events import Event, flush_events

LONGEST = 10.0
"""Seconds that a statement may take, unless it is said otherwise, and those for which one waits to be let in."""


class Database:
    """One database behind a URL: `sqlite+aiosqlite:///…` or `postgresql+asyncpg://…`."""

    def __init__(self, url: str | URL, *, pool_size: int = 10, longest: float | None = None) -> None:
        """`longest`: the seconds that a statement may take; without it, as long as it likes."""
        self.url, self.longest = make_url(url), longest
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        kind = Sqlite if self.is_sqlite else Postgres
        self.pool, self.statements = Pool(kind.opener(self.url, longest), pool_size), Statements(kind.dialect)
        self._turn = asyncio.Lock()
        self.announce: Callable[[], None] = lambda: None
        """Called after each transaction that wrote events."""
        self.committed: Callable[[Sequence[Event]], None] = lambda events: None
        """Called after each transaction, with the events that it wrote, before anybody hears that it is done."""
        self.doubted: Callable[[Sequence[Event]], None] = lambda events: None
        """Called instead where COMMIT failed: it may have been done all the same, or be yet, and its answer be lost."""

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Transaction]:
        """A look at the data, which is not changed."""
        async with self.transaction(writing=False) as transaction:
            yield transaction

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Transaction]:
        """One transaction: committed when the scope is left, undone entirely when it is left by an error."""
        events: list[Event] = []
        try:
            async with self.turn(), self.transaction(writing=True) as transaction:
                yield transaction
                events = await flush_events(transaction)
        except BaseException:
            if events:
                self.tell(self.doubted, events)
            raise
        self.tell(self.committed, events)

    def tell(self, told: Callable[[Sequence[Event]], None], events: Sequence[Event]) -> None:
        told(events)
        if events:
            self.announce()

    def undoing(self) -> AbstractAsyncContextManager[Transaction]:
        """One transaction that takes back what the operation's last one did."""
        return self.writing()

    @asynccontextmanager
    async def transaction(self, *, writing: bool) -> AsyncIterator[Transaction]:
        """A database that cannot be reached is a refusal that clients may retry, not a fault of ours."""
        try:
            connection = await self.pool.begun(writing=writing)
        except UNREACHED as error:
            raise Unavailable from error
        try:
            transaction = Transaction(connection, self.statements, self.ask)
            yield transaction
            await transaction.flush()
            await self.commit(connection)
        except BaseException as error:
            await self.pool.undo(connection, error)
            raise
        self.pool.give_back(connection)

    async def commit(self, connection: Connection) -> None:
        try:
            await connection.commit()
        except Exception as error:
            raise connection.meant(error, "COMMIT") from error

    async def ask(self, connection: Connection, sql: str, parameters: Sequence[Any], *, rows: bool | None) -> Answer:
        """Every statement of every transaction goes through here, but for those that begin and end it."""
        try:
            return await connection.ask(sql, parameters, rows=rows)
        except Exception as error:
            raise connection.meant(error, sql) from error

    def turn(self) -> AbstractAsyncContextManager[Any]:
        """SQLite has one writer at a time: ours queue here, in order, rather than inside SQLite, where they poll."""
        return in_turn(self._turn, self.longest) if self.is_sqlite else nullcontext()

    @cached_property
    def engine(self) -> AsyncEngine:
        """SQLAlchemy's own, with connections of its own: for tables rather than for rows."""
        return engine_of(self.url, self.longest)

    async def close(self) -> None:
        await self.pool.close()
        if "engine" in self.__dict__:
            await self.engine.dispose()


@asynccontextmanager
async def in_turn(lock: asyncio.Lock, longest: float | None) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(longest):
            await lock.acquire()
    except TimeoutError as error:
        raise Unavailable from error
    try:
        yield
    finally:
        lock.release()
