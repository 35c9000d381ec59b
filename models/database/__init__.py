"""The database as operations use it: sessions that read, and sessions whose changes are committed together."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from typing import Any

from sqlalchemy import URL, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from models.database import postgres, sqlite
from models.database.engine import Instrument, create_engine, instrument, translated_errors
from models.database.upserts import insert
from models.errors import Unavailable
from models.events import Event

STATEMENT_TIMEOUT = 10.0
"""Seconds that a statement may take by default, and that a caller waits for SQLite's write lock."""
ROLLBACK_TIMEOUT = CLOSE_TIMEOUT = 5.0

Listener = Callable[[Sequence[Event]], None]


class Database:
    """One database behind a URL: `sqlite+aiosqlite:///…` or `postgresql+asyncpg://…`."""

    def __init__(self, url: str | URL, *, pool_size: int = 10, statement_timeout: float | None = None) -> None:
        """`statement_timeout`: seconds that a statement may take; without it there is no limit."""
        self.url, self.statement_timeout = make_url(url), statement_timeout
        self.engine = create_engine(self.url, pool_size=pool_size, statement_timeout=statement_timeout)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        self.write_lock = asyncio.Lock()
        self.notify: Callable[[], None] = lambda: None
        """Called after each transaction that wrote events."""
        self.on_commit: Listener = lambda events: None
        """Called after each transaction with the events that it wrote, before its caller continues."""
        self.on_uncertain_commit: Listener = lambda events: None
        """Called instead if COMMIT failed: the server may have committed all the same, and its answer be lost."""
        # Sessions begin and commit by themselves, for three reasons. SQLAlchemy's asyncpg dialect sends BEGIN with the
        # first statement, when it is too late to replace a connection that died in the pool; it ignores that COMMIT
        # answers ROLLBACK after a failed statement; and its path takes 0.1 ms more CPU for each transaction.
        self._dialect = sqlite if self.is_sqlite else postgres
        self._autocommit = (
            self.engine if self.is_sqlite else self.engine.execution_options(isolation_level="AUTOCOMMIT")
        )
        self._instruments: list[Instrument] = []
        self._rollbacks: set[asyncio.Task[None]] = set()

    @property
    def connections_in_use(self) -> int:
        return self.engine.pool.checkedout()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """Open a session that only reads."""
        async with self._session(read_only=True) as session:
            yield session

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncSession]:
        """Open a session in a transaction: committed at the end of the scope, rolled back if an error leaves it."""
        async with self._take_turn(), self._session(read_only=False) as session:
            yield session

    def compensating(self) -> AbstractAsyncContextManager[AsyncSession]:
        """Open a transaction that compensates for what the operation's last one did."""
        return self.writing()

    @asynccontextmanager
    async def _session(self, *, read_only: bool) -> AsyncIterator[AsyncSession]:
        """Open a session in a transaction of its own. Raise `Unavailable` if there is no connection.

        Loaded rows stay usable after the scope. A row that is selected again is read again, as locks require.
        """
        connection, driver = await self._begin(read_only=read_only)
        info = {"events": [], "fetch": partial(self._dialect.fetch, driver), "instruments": self._instruments}
        options = {"populate_existing": True}
        session = AsyncSession(connection, expire_on_commit=False, execution_options=options, info=info)
        try:
            yield session
            if not read_only:
                await self._commit(session, driver)
        except BaseException as error:
            await self._roll_back(session, connection, driver, error)
            raise
        await release(session, connection)

    async def _begin(self, *, read_only: bool) -> tuple[AsyncConnection, Any]:
        """Return a connection with a transaction, and the driver's connection. Replace connections that died unused."""
        while True:
            try:
                connection = await self._autocommit.connect()
            except (SQLAlchemyError, OSError) as error:
                raise Unavailable from error
            driver = connection.sync_connection.connection.driver_connection
            is_pooled, connection.info["is_pooled"] = "is_pooled" in connection.info, True
            try:
                await self._dialect.begin(driver, read_only=read_only)
            except BaseException as error:
                await connection.invalidate()
                await connection.close()
                if not isinstance(error, Exception):
                    raise
                if not is_pooled or not self._dialect.is_lost(driver, error):
                    raise Unavailable from error
            else:
                return connection, driver

    async def _commit(self, session: AsyncSession, driver: Any) -> None:
        """Write the session's changes and its events, commit, and notify the listeners.

        Event ids are allocated as late as possible, so that ids and commits are in nearly the same order.
        """
        if session.new or session.dirty or session.deleted:
            await session.flush()
        events = session.info["events"]
        for event in events:
            await insert(session, event)
        try:
            with translated_errors("COMMIT"):
                await self._dialect.commit(driver)
        except BaseException:
            self._notify(self.on_uncertain_commit, events)
            raise
        self._notify(self.on_commit, events)

    def _notify(self, listener: Listener, events: Sequence[Event]) -> None:
        listener(events)
        if events:
            self.notify()

    async def _roll_back(
        self, session: AsyncSession, connection: AsyncConnection, driver: Any, error: BaseException
    ) -> None:
        """Roll back and return the connection, even if the caller is cancelled meanwhile."""

        is_silent = isinstance(error.__cause__, TimeoutError)  # the server would not answer ROLLBACK either

        async def roll_back() -> None:
            try:
                async with asyncio.timeout(0 if is_silent else ROLLBACK_TIMEOUT):
                    await self._dialect.rollback(driver)
            except Exception:
                await connection.invalidate()
            finally:
                await release(session, connection)

        task = asyncio.create_task(roll_back())
        self._rollbacks.add(task)
        task.add_done_callback(self._rollbacks.discard)
        await asyncio.shield(task)

    @asynccontextmanager
    async def _take_turn(self) -> AsyncIterator[None]:
        """Wait for SQLite's only writer to finish. In SQLite itself waiting writers would poll, in no order."""
        if not self.is_sqlite:
            yield
            return
        try:
            async with asyncio.timeout(self.statement_timeout):
                await self.write_lock.acquire()
        except TimeoutError as error:
            raise Unavailable from error
        try:
            yield
        finally:
            self.write_lock.release()

    def instrument(self, around: Instrument) -> None:
        """Enter `around(sql)` before each statement, and exit it afterwards, with the statement's error if any."""
        self._instruments.append(around)
        instrument(self.engine, around)

    async def close(self) -> None:
        if self._rollbacks:
            await asyncio.wait(self._rollbacks)
        with suppress(TimeoutError):  # a server that is silent
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self.engine.dispose()


async def release(session: AsyncSession, connection: AsyncConnection) -> None:
    try:
        if session.in_transaction():
            await session.close()
    finally:
        await connection.close()
