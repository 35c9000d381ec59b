"""The two databases, as plans need them: a dialect, and one row for one statement."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol, Self

import aiosqlite
import asyncpg
from sqlalchemy import URL, Boolean, Dialect, Enum, Integer, make_url
from sqlalchemy.dialects.postgresql.asyncpg import dialect as postgres_dialect
from sqlalchemy.dialects.sqlite.aiosqlite import dialect as sqlite_dialect

from gateway.graphql.database.batching import QueryBatcher
from gateway.graphql.database.sqlite import InlineConnection
from gateway.graphql.planning.parameters import RequestParameter
from gateway.graphql.planning.visibility import CheckedCompiler
from models.database import STATEMENT_TIMEOUT, postgres, sqlite
from models.errors import Unavailable, ValidationError

READING = {"default_transaction_read_only": "on", "application_name": "dovetail reads"}

AGAIN = 0.01
"""Seconds after which a statement is interrupted once more."""
TOO_MUCH = "The query asks for too much at once"


class ReadDatabase(Protocol):
    """A database as the engine reads it."""

    dialect: Dialect

    async def fetch_row(self, sql: str, parameters: Sequence[Any]) -> Sequence[str | None]:
        """The one row of a statement."""

    async def close(self) -> None:
        """Let its connections go."""


async def open_reads(
    url: str | URL, *, size: int = 4, query_timeout: float = STATEMENT_TIMEOUT, **settings: str
) -> ReadDatabase:
    """The database at a URL as SQLAlchemy spells it; `settings` are further settings of Postgres' sessions."""
    url = make_url(url)
    if url.get_backend_name() == "sqlite":
        return await Sqlite.open(url.database or "data/gateway.db", min(size, 2), query_timeout)
    return await Postgres.open(url, size, query_timeout, **settings)


class LiteralConstants(CheckedCompiler):
    """Writes what a plan fixes (a status, a limit) into its text: planners see it, partial indexes match it.

    Only words and numbers of our own; text from a document stays a parameter.
    """

    def visit_bindparam(self, bind: Any, **kw: Any) -> str:
        if not isinstance(bind, RequestParameter) and isinstance(bind.type, Enum | Integer | Boolean):
            kw["literal_binds"] = True
        return super().visit_bindparam(bind, **kw)


def dialect_of(kind: type[Dialect]) -> Dialect:
    """A dialect whose statements are sound and carry their constants."""
    dialect = kind()
    dialect.statement_compiler = type("Compiler", (LiteralConstants, kind.statement_compiler), {})
    return dialect


class Postgres:
    """A few connections, over which requests that wait with the same plan travel together."""

    dialect = dialect_of(postgres_dialect)

    def __init__(self, connect: Callable[[], Awaitable[asyncpg.Connection]], size: int, query_timeout: float) -> None:
        self.size = size
        self.coalescing = QueryBatcher(connect, size, query_timeout)

    @classmethod
    async def open(cls, url: URL, size: int = 4, query_timeout: float = STATEMENT_TIMEOUT, **settings: str) -> Self:
        return cls(partial(postgres.connect, url, query_timeout, **READING, **settings), size, query_timeout)

    async def fetch_row(self, sql: str, parameters: Sequence[Any]) -> Sequence[str | None]:
        try:
            return await self.coalescing.fetch_row(sql, parameters)
        except asyncpg.PostgresError as error:
            raise (ValidationError(TOO_MUCH) if postgres.exceeds_limits(error) else error) from error

    async def close(self) -> None:
        await self.coalescing.close()


class Sqlite:
    """A connection for what is short, and a few more for what is not, each in a thread of its own."""

    dialect = dialect_of(sqlite_dialect)

    def __init__(self, inline: InlineConnection, connections: list[aiosqlite.Connection], query_timeout: float) -> None:
        self.inline, self.connections, self.query_timeout = inline, connections, query_timeout
        self.idle: asyncio.LifoQueue[aiosqlite.Connection] = asyncio.LifoQueue()
        for connection in connections:
            self.idle.put_nowait(connection)
        self.ending: set[asyncio.Future[None]] = set()
        """Of statements that nobody waits for any more."""
        self.statements = 0
        self.threaded = 0
        """How many of them were asked of a thread."""

    @classmethod
    async def open(cls, path: Path | str, size: int = 2, query_timeout: float = STATEMENT_TIMEOUT) -> Self:
        connections = [await sqlite.connect(path) for _ in range(size)]
        return cls(InlineConnection(path), connections, query_timeout)

    async def fetch_row(self, sql: str, parameters: Sequence[Any]) -> Sequence[str | None]:
        self.statements += 1
        row = self.inline.fetch_row(sql, parameters)
        if row is None:
            return await self.fetch_row_in_thread(sql, parameters)
        await asyncio.sleep(0)  # who reads on and on must let others have their turn, as with any other database
        return row

    async def fetch_row_in_thread(self, sql: str, parameters: Sequence[Any]) -> Sequence[str | None]:
        connection = await self._acquire() if self.idle.empty() else self.idle.get_nowait()
        self.threaded += 1
        asked = asyncio.ensure_future(connection.execute_fetchall(sql, parameters))
        asked.add_done_callback(partial(self._on_done, connection))
        try:
            # not wait_for, which on Python 3.11 can lose a cancellation
            async with asyncio.timeout(self.query_timeout):
                (row,) = await asyncio.shield(asked)
        except TimeoutError as error:
            raise Unavailable from error
        except sqlite.sqlite.Error as error:
            raise translate_error(error) from error
        finally:
            if not asked.done():
                self._cancel(connection, asked)
        return row

    def _on_done(self, connection: aiosqlite.Connection, asked: asyncio.Future[Any]) -> None:
        """Its thread is free again, whether or not anybody still wants to know what came of it."""
        if not asked.cancelled():
            asked.exception()
        self.idle.put_nowait(connection)

    def _cancel(self, connection: aiosqlite.Connection, asked: asyncio.Future[Any]) -> None:
        """Nobody waits any more. A statement that has not begun yet cannot be interrupted, hence again and again."""
        ending = asyncio.ensure_future(_interrupt_until_done(connection, asked))
        self.ending.add(ending)
        ending.add_done_callback(self.ending.discard)

    async def _acquire(self) -> aiosqlite.Connection:
        """A connection, once one is free."""
        try:
            async with asyncio.timeout(self.query_timeout):
                return await self.idle.get()
        except TimeoutError as error:
            raise Unavailable from error

    async def close(self) -> None:
        self.inline.close()
        await asyncio.gather(*self.ending)
        for connection in self.connections:
            await connection.close()


async def _interrupt_until_done(connection: aiosqlite.Connection, asked: asyncio.Future[Any]) -> None:
    while not asked.done():
        await connection.interrupt()
        await asyncio.wait([asked], timeout=AGAIN)


def translate_error(error: Exception) -> Exception:
    """What SQLite's error means to a client: too deep or too long a statement, or a file that cannot be read now."""
    if sqlite.exceeds_limits(error):
        return ValidationError(TOO_MUCH)
    return Unavailable() if sqlite.is_unavailable(error) else error
