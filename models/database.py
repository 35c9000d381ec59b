"""The database as operations use it: a scope to read in, and a scope to write in that commits or leaves nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import URL, event, make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from models import sqlite
from models.errors import Unavailable
from models.events import write_last

POSTGRES_SETTINGS = {"timezone": "UTC", "jit": "off"}
QUIET = {"hide_parameters": True}
"""Errors are logged with their statement, but not with what people wrote, nor with hashes."""


class Database:
    """One database behind a URL: `sqlite+aiosqlite:///…` or `postgresql+asyncpg://…`."""

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = sqlite_engine(self.url) if self.is_sqlite else postgres_engine(self.url, pool_size)
        self._turn = asyncio.Lock()
        self.announce: Callable[[], None] = lambda: None
        """Called after each transaction that wrote events."""

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
            wrote = await write_last(session)
        if wrote:
            self.announce()

    def turn(self) -> AbstractAsyncContextManager[Any]:
        """SQLite has one writer at a time: ours queue here, in order, rather than inside SQLite, where they poll."""
        return self._turn if self.is_sqlite else nullcontext()

    async def close(self) -> None:
        await self.engine.dispose()


@asynccontextmanager
async def available() -> AsyncIterator[None]:
    """A database that cannot be reached is a refusal that clients may retry, not a fault of ours."""
    try:
        yield
    except DBAPIError as error:
        unreached = error.statement is None  # it failed before there was anything to say
        if unreached or error.connection_invalidated or isinstance(error, OperationalError):
            raise Unavailable from error
        raise
    except (OSError, TimeoutError) as error:
        raise Unavailable from error


def sqlite_engine(url: URL) -> AsyncEngine:
    path = Path(url.database or "data/gateway.db")
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = create_async_engine(url, module=sqlite.dbapi(), async_creator=lambda: sqlite.connect(path), **QUIET)

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Any) -> None:
        """A writer takes its lock at once: one that first reads could find that it may no longer write."""
        writing = connection.get_execution_options().get("writing")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine


def postgres_engine(url: URL, pool_size: int) -> AsyncEngine:
    return create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_pre_ping=True,
        connect_args={"server_settings": POSTGRES_SETTINGS},
        **QUIET,
    )
