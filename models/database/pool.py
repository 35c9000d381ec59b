"""Connections of our own to either database, and the pool that they are kept in."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import aiosqlite
import asyncpg
from sqlalchemy import URL, Dialect
from sqlalchemy.dialects.postgresql.asyncpg import dialect as postgres_dialect
from sqlalchemy.dialects.sqlite.aiosqlite import dialect as sqlite_dialect
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError

from models.database import postgres, sqlite
from models.errors import Unavailable

WAITING = 5.0
"""Seconds that one waits for a connection, and that giving one back may take."""
PARTING = 2.0
"""Seconds that closing one may take."""
ENDING = asyncpg.OperatorInterventionError, asyncpg.InternalClientError
"""The server ends the connection; the second while it has said so, and has not done it yet."""
MOST_STATEMENTS = 500
"""How many a connection to Postgres keeps prepared."""

UNREACHED = OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, sqlite.sqlite.Error
"""What a driver says of a database that it could not get so far with as to begin a transaction."""


@dataclass(slots=True)
class Answer:
    """Rows, how many there are or were changed, and what their columns are called, where nobody knew before."""

    rows: Sequence[Any]
    count: int
    names: Sequence[str] = ()


class Connection(Protocol):
    """One connection, which one transaction has at a time."""

    dialect: Dialect
    is_closed: bool

    async def begin(self, *, writing: bool) -> None: ...

    async def ask(self, sql: str, parameters: Sequence[Any], *, rows: bool | None) -> Answer:
        """Run a statement; `rows`: whether it answers with some, or None where nobody knows."""

    async def ask_many(self, sql: str, parameters: Sequence[Sequence[Any]]) -> None:
        """Run a statement for each of these."""

    async def commit(self) -> None: ...

    async def rollback(self) -> None: ...

    async def forget(self) -> None:
        """Prepare anew what is asked from now on."""

    async def close(self) -> None: ...

    def terminate(self) -> None:
        """Let go of it at once."""

    def is_lost(self, error: Exception) -> bool:
        """Whether the connection is gone, though another may well be had."""

    def meant(self, error: Exception, sql: str) -> Exception:
        """What a driver's error means: that the database is away, or what SQLAlchemy calls it."""


class Postgres:
    """Each statement is prepared once on each connection, and kept."""

    dialect = postgres_dialect()

    def __init__(self, driver: asyncpg.Connection) -> None:
        self.driver = driver

    @classmethod
    def opener(cls, url: URL, longest: float | None) -> Callable[[], Awaitable[Self]]:
        options = postgres.patience(longest) if longest else {"server_settings": postgres.SETTINGS}
        _, address = cls.dialect.create_connect_args(url)
        kept = {"statement_cache_size": MOST_STATEMENTS, "max_cacheable_statement_size": 0}  # of whatever size

        async def opened() -> Self:
            return cls(await postgres.connect(**address, **options, **kept))

        return opened

    @property
    def is_closed(self) -> bool:
        """The event loop hears at once that a server hung up; a ping would cost a journey to hear no more."""
        return self.driver.is_closed()

    async def begin(self, *, writing: bool) -> None:
        """A reader's statements each see what is committed, with a transaction around them and without."""
        if writing:
            await self.driver.execute("BEGIN")

    async def ask(self, sql: str, parameters: Sequence[Any], *, rows: bool | None) -> Answer:
        if rows:
            found = await self.driver.fetch(sql, *parameters)
            return Answer(found, len(found))
        if rows is None:
            prepared = await self.driver.prepare(sql)
            found = await prepared.fetch(*parameters)
            names = [attribute.name for attribute in prepared.get_attributes()]
            return Answer(found, counted(prepared.get_statusmsg()), names)
        return Answer((), counted(await self.driver.execute(sql, *parameters)))

    async def ask_many(self, sql: str, parameters: Sequence[Sequence[Any]]) -> None:
        await self.driver.executemany(sql, parameters)

    async def commit(self) -> None:
        """Postgres takes COMMIT for ROLLBACK, and says so, after an error that somebody went past."""
        if self.driver.is_in_transaction() and await self.driver.execute("COMMIT") != "COMMIT":
            raise RuntimeError("Nothing was committed, as a statement had failed before")

    async def rollback(self) -> None:
        if self.driver.is_in_transaction():
            await self.driver.execute("ROLLBACK")

    async def forget(self) -> None:
        await self.driver.reload_schema_state()

    async def close(self) -> None:
        await self.driver.close()

    def terminate(self) -> None:
        self.driver.terminate()

    def is_lost(self, error: Exception) -> bool:
        return self.driver.is_closed() or isinstance(error, ENDING)

    def meant(self, error: Exception, sql: str) -> Exception:
        if postgres.is_away(error):
            return Unavailable()
        if isinstance(error, asyncpg.IntegrityConstraintViolationError):
            kind = IntegrityError
        elif isinstance(error, asyncpg.PostgresError | asyncpg.InterfaceError):
            kind = DataError if isinstance(error, asyncpg.DataError | ValueError) else DBAPIError
        else:
            return error
        return kind(sql, None, error, hide_parameters=True)


def counted(status: str) -> int:
    """How many rows Postgres says that a statement found or changed."""
    count = status.rpartition(" ")[2]
    return int(count) if count.isdigit() else 0


class Sqlite:
    """In a thread of its own, which each question is one journey to."""

    dialect = sqlite_dialect()
    is_closed = False
    KINDS: Mapping[str, type[DBAPIError]] = {
        "IntegrityError": IntegrityError,
        "DataError": DataError,
        "ProgrammingError": ProgrammingError,
    }

    def __init__(self, driver: aiosqlite.Connection) -> None:
        self.driver = driver

    @classmethod
    def opener(cls, url: URL, longest: float | None) -> Callable[[], Awaitable[Self]]:
        path = Path(url.database or "data/gateway.db")
        path.parent.mkdir(parents=True, exist_ok=True)

        async def opened() -> Self:
            return cls(await sqlite.connect(path))

        return opened

    async def begin(self, *, writing: bool) -> None:
        """A writer takes its lock at once: one that first reads could find that it may no longer write."""
        await self.ask("BEGIN IMMEDIATE" if writing else "BEGIN", (), rows=False)

    async def ask(self, sql: str, parameters: Sequence[Any], *, rows: bool | None) -> Answer:
        return await self.driver._execute(asked, self.driver._conn, sql, parameters)

    async def ask_many(self, sql: str, parameters: Sequence[Sequence[Any]]) -> None:
        await self.driver._execute(self.driver._conn.executemany, sql, parameters)

    async def commit(self) -> None:
        await self.ask("COMMIT", (), rows=False)

    async def rollback(self) -> None:
        await self.driver.rollback()

    async def forget(self) -> None:
        """SQLite sees by itself that its tables have changed."""

    async def close(self) -> None:
        await self.driver.close()

    def terminate(self) -> None:
        self.is_closed = True
        self.driver.stop()

    def is_lost(self, error: Exception) -> bool:
        return False

    def meant(self, error: Exception, sql: str) -> Exception:
        if isinstance(error, sqlite.sqlite.OperationalError):
            return Unavailable()
        if not isinstance(error, sqlite.sqlite.Error):
            return error
        kind = self.KINDS.get(type(error).__name__, DBAPIError)
        return kind(sql, None, error, hide_parameters=True)


def asked(connection: Any, sql: str, parameters: Sequence[Any]) -> Answer:
    cursor = connection.execute(sql, parameters)
    rows = cursor.fetchall()
    return Answer(rows, cursor.rowcount, [column[0] for column in cursor.description or ()])


class Pool:
    """So many connections at most; the one that was used last is used next."""

    def __init__(self, opened: Callable[[], Awaitable[Connection]], size: int) -> None:
        self.opened, self.size, self.busy = opened, size, 0
        self.idle: list[Connection] = []
        self.room = asyncio.Semaphore(size)
        self.undoing: set[asyncio.Task[None]] = set()
        self.is_closing = False

    async def begun(self, *, writing: bool) -> Connection:
        """A connection with a transaction. One that was kept and is gone is passed over: nothing was done on it yet."""
        async with asyncio.timeout(WAITING) if self.room.locked() else nullcontext():
            await self.room.acquire()
        self.busy += 1
        try:
            while self.idle:
                if connection := await self.begun_on(self.idle.pop(), writing=writing):
                    return connection
            return await self.begun_on(await self.opened(), writing=writing, is_new=True)
        except BaseException:
            self.leave()
            raise

    async def begun_on(self, connection: Connection, *, writing: bool, is_new: bool = False) -> Connection | None:
        """The connection, or None if it was kept for too long."""
        if connection.is_closed:
            return None
        try:
            await connection.begin(writing=writing)
        except BaseException as error:
            is_lost = isinstance(error, Exception) and connection.is_lost(error)
            connection.terminate()
            if is_lost and not is_new:
                return None
            raise
        return connection

    def give_back(self, connection: Connection) -> None:
        if self.is_closing:
            connection.terminate()
        elif not connection.is_closed:
            self.idle.append(connection)
        self.leave()

    def leave(self) -> None:
        self.busy -= 1
        self.room.release()

    async def undo(self, connection: Connection, error: BaseException) -> None:
        """Roll back, whatever becomes of who waits for it. Where the server did not answer, it is not asked again."""
        is_silent = isinstance(error.__cause__, TimeoutError)
        if isinstance(error.__cause__, postgres.OUTDATED):
            for other in [*self.idle]:  # or each would have a transaction fail of its own
                await other.forget()
        task = asyncio.create_task(self.undone(connection, is_silent=is_silent))
        self.undoing.add(task)
        task.add_done_callback(self.undoing.discard)
        await asyncio.shield(task)

    async def undone(self, connection: Connection, *, is_silent: bool) -> None:
        try:
            async with asyncio.timeout(0 if is_silent else WAITING):
                await connection.rollback()
        except Exception:
            connection.terminate()
        finally:
            self.give_back(connection)

    async def close(self) -> None:
        self.is_closing = True
        if self.undoing:
            await asyncio.wait(self.undoing)
        while self.idle:
            await farewell(self.idle.pop())


async def farewell(connection: Connection) -> None:
    """Close it properly, if the other end is there to hear it."""
    try:
        async with asyncio.timeout(PARTING):
            await connection.close()
    except Exception:
        connection.terminate()
