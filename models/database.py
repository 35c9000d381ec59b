"""The database as operations use it: a scope to read in, and a scope to write in that commits or leaves nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import URL, event, make_url
from sqlalchemy.exc import DBAPIError, InvalidatePoolError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from models import postgres, sqlite
from models.errors import Unavailable
from models.events import Event, write_last
from models.postgres import is_away

LONGEST = 10.0
"""Seconds that a statement may take, unless it is said otherwise, and those for which one waits to be let in."""
WAITING = {"hide_parameters": True, "pool_timeout": 5.0}
"""Errors are logged with their statement, but not with what people wrote, nor with hashes; and nobody waits for ever
for a connection."""


class Database:
    """One database behind a URL: `sqlite+aiosqlite:///…` or `postgresql+asyncpg://…`."""

    def __init__(self, url: str, *, pool_size: int = 10, longest: float | None = None) -> None:
        """`longest`: the seconds that a statement may take; without it, as long as it likes."""
        self.url, self.longest = make_url(url), longest
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = sqlite_engine(self.url) if self.is_sqlite else postgres_engine(self.url, pool_size, longest)
        self._turn = asyncio.Lock()
        self.announce: Callable[[], None] = lambda: None
        """Called after each transaction that wrote events."""
        self.committed: Callable[[Sequence[Event]], None] = lambda events: None
        """Called after each transaction, with the events that it wrote, before anybody hears that it is done."""

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """One consistent view of the data, which is not changed."""
        async with available(), AsyncSession(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncSession]:
        """One transaction: committed when the scope is left, undone entirely when it is left by an error."""
        engine = self.engine.execution_options(writing=True)
        async with available(), self.turn(), AsyncSession(engine, expire_on_commit=False) as session, session.begin():
            yield session
            events = await write_last(session)
        self.committed(events)
        if events:
            self.announce()

    def turn(self) -> AbstractAsyncContextManager[Any]:
        """SQLite has one writer at a time: ours queue here, in order, rather than inside SQLite, where they poll."""
        return in_turn(self._turn, self.longest) if self.is_sqlite else nullcontext()

    async def close(self) -> None:
        await self.engine.dispose()


@asynccontextmanager
async def available() -> AsyncIterator[None]:
    """A database that cannot be reached is a refusal that clients may retry, not a fault of ours."""
    try:
        yield
    except DBAPIError as error:
        unreached = error.statement is None  # it failed before there was anything to say
        if unreached or error.connection_invalidated or isinstance(error, OperationalError) or is_away(error.orig):
            raise Unavailable from error
        raise
    except (OSError, TimeoutError, PoolTimeout) as error:
        raise Unavailable from error


@asynccontextmanager
async def in_turn(lock: asyncio.Lock, longest: float | None) -> AsyncIterator[None]:
    async with asyncio.timeout(longest):
        await lock.acquire()
    try:
        yield
    finally:
        lock.release()


def sqlite_engine(url: URL) -> AsyncEngine:
    path = Path(url.database or "data/gateway.db")
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = create_async_engine(url, module=sqlite.dbapi(), async_creator=lambda: sqlite.connect(path), **WAITING)

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Any) -> None:
        """A writer takes its lock at once: one that first reads could find that it may no longer write."""
        writing = connection.get_execution_options().get("writing")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine


def postgres_engine(url: URL, pool_size: int, longest: float | None) -> AsyncEngine:
    options = postgres.patience(longest) if longest else {"server_settings": postgres.SETTINGS}
    engine = create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        connect_args={"async_creator_fn": postgres.connect, **options},
        **WAITING,
    )

    @event.listens_for(engine.sync_engine, "checkout")
    def check(connection: Any, record: Any, fairy: Any) -> None:
        """The event loop hears at once that a server hung up; a ping would cost three journeys to hear no more."""
        if record.driver_connection.is_closed():
            raise InvalidatePoolError

    return engine
