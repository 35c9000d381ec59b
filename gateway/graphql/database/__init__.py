"""Read-only access to Postgres and SQLite for the engine: a SQL dialect, and one row for each statement."""

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

SERVER_SETTINGS = {"default_transaction_read_only": "on", "application_name": "dovetail reads"}

INTERRUPT_INTERVAL_SECONDS = 0.01
TOO_LARGE = "The query is too large for the database; request fewer fields or fewer rows"


class ReadDatabase(Protocol):
    """A read-only database."""

    dialect: Dialect

    async def fetch_row(self, sql: str, parameters: Sequence[Any]) -> Sequence[str | None]:
        """Execute a statement and return its row. Raises `Unavailable`, or `ValidationError` if it is too large."""

    async def close(self) -> None:
        """Close the connections."""


async def open_reads(
    url: str | URL, *, size: int = 4, query_timeout: float = STATEMENT_TIMEOUT, **settings: str
) -> ReadDatabase:
    """Open the database at a SQLAlchemy URL. `query_timeout`: in seconds. `settings`: for Postgres sessions."""
    url = make_url(url)
    if url.get_backend_name() == "sqlite":
        return await Sqlite.open(url.database or "data/gateway.db", min(size, 2), query_timeout)
    return await Postgres.open(url, size, query_timeout, **settings)


class LiteralConstants(CheckedCompiler):
    """Compiles constants of a plan, such as a status or a limit, to literals: partial indexes need them.

    Only enums, numbers and booleans. Text stays a parameter, as it may be from a document.
    """

    def visit_bindparam(self, bind: Any, **kw: Any) -> str:
        if not isinstance(bind, RequestParameter) and isinstance(bind.type, Enum | Integer | Boolean):
            kw["literal_binds"] = True
        return super().visit_bindparam(bind, **kw)


def create_dialect(kind: type[Dialect]) -> Dialect:
    """Create a dialect whose compiler verifies visibility rules and compiles constants to literals."""
    dialect = kind()
    dialect.statement_compiler = type("Compiler", (LiteralConstants, kind.statement_compiler), {})
    return dialect


class Postgres:
    """Reads from Postgres over a few connections, and batches requests that wait with the same plan."""

    dialect = create_dialect(postgres_dialect)

    def __init__(self, connect: Callable[[], Awaitable[asyncpg.Connection]], size: int, query_timeout: float) -> None:
        self.size = size
        self.batcher = QueryBatcher(connect, size, query_timeout)

    @classmethod
    async def open(cls, url: URL, size: int = 4, query_timeout: float = STATEMENT_TIMEOUT, **settings: str) -> Self:
        return cls(partial(postgres.connect, url, query_timeout, **SERVER_SETTINGS, **settings), size, query_timeout)

    async def fetch_row(self, sql: str, parameters: Sequence[Any]) -> Sequence[str | None]:
        try:
            return await self.batcher.fetch_row(sql, parameters)
        except asyncpg.PostgresError as error:
            raise (ValidationError(TOO_LARGE) if postgres.exceeds_limits(error) else error) from error

    async def close(self) -> None:
        await self.batcher.close()


class Sqlite:
    """Reads from SQLite: short statements on the event loop, long ones in threads, one for each connection."""

    dialect = create_dialect(sqlite_dialect)

    def __init__(self, inline: InlineConnection, connections: list[aiosqlite.Connection], query_timeout: float) -> None:
        self.inline, self.connections, self.query_timeout = inline, connections, query_timeout
        self.idle: asyncio.LifoQueue[aiosqlite.Connection] = asyncio.LifoQueue()
        for connection in connections:
            self.idle.put_nowait(connection)
        self.cancelling: set[asyncio.Future[None]] = set()
        """Tasks that interrupt statements whose request has ended."""
        self.statements = 0
        self.threaded = 0
        """Number of statements that ran in a thread."""

    @classmethod
    async def open(cls, path: Path | str, size: int = 2, query_timeout: float = STATEMENT_TIMEOUT) -> Self:
        connections = [await sqlite.connect(path) for _ in range(size)]
        return cls(InlineConnection(path), connections, query_timeout)

    async def fetch_row(self, sql: str, parameters: Sequence[Any]) -> Sequence[str | None]:
        self.statements += 1
        row = self.inline.fetch_row(sql, parameters)
        if row is None:
            return await self.fetch_row_in_thread(sql, parameters)
        await asyncio.sleep(0)  # a task that reads in a loop must not block the others
        return row

    async def fetch_row_in_thread(self, sql: str, parameters: Sequence[Any]) -> Sequence[str | None]:
        connection = await self._acquire() if self.idle.empty() else self.idle.get_nowait()
        self.threaded += 1
        query = asyncio.ensure_future(connection.execute_fetchall(sql, parameters))
        query.add_done_callback(partial(self._on_done, connection))
        try:
            # not wait_for, which on Python 3.11 can lose a cancellation
            async with asyncio.timeout(self.query_timeout):
                (row,) = await asyncio.shield(query)
        except TimeoutError as error:
            raise Unavailable from error
        except sqlite.sqlite.Error as error:
            raise translate_error(error) from error
        finally:
            if not query.done():
                self._cancel(connection, query)
        return row

    def _on_done(self, connection: aiosqlite.Connection, query: asyncio.Future[Any]) -> None:
        """Release the connection, and retrieve the exception, because the request may have ended."""
        if not query.cancelled():
            query.exception()
        self.idle.put_nowait(connection)

    def _cancel(self, connection: aiosqlite.Connection, query: asyncio.Future[Any]) -> None:
        task = asyncio.ensure_future(_interrupt_until_done(connection, query))
        self.cancelling.add(task)
        task.add_done_callback(self.cancelling.discard)

    async def _acquire(self) -> aiosqlite.Connection:
        """Wait for an idle connection. Raises `Unavailable` after the timeout."""
        try:
            async with asyncio.timeout(self.query_timeout):
                return await self.idle.get()
        except TimeoutError as error:
            raise Unavailable from error

    async def close(self) -> None:
        self.inline.close()
        await asyncio.gather(*self.cancelling)
        for connection in self.connections:
            await connection.close()


async def _interrupt_until_done(connection: aiosqlite.Connection, query: asyncio.Future[Any]) -> None:
    """Interrupt a statement repeatedly, as it may not have begun yet, when an interrupt has no effect."""
    while not query.done():
        await connection.interrupt()
        await asyncio.wait([query], timeout=INTERRUPT_INTERVAL_SECONDS)


def translate_error(error: Exception) -> Exception:
    """Return the API error for a SQLite error: the statement exceeds a limit, or the file cannot be read now."""
    if sqlite.exceeds_limits(error):
        return ValidationError(TOO_LARGE)
    return Unavailable() if sqlite.is_unavailable(error) else error
