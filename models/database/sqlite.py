"""SQLite over aiosqlite: which SQLite this process uses, connection settings, and what its errors mean.

Debian's SQLite is old enough to overflow its parser on deeply nested selections, so a wheel includes a newer one.
"""

import base64
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiosqlite
from sqlalchemy import URL, Connection, event
from sqlalchemy.dialects.sqlite.aiosqlite import AsyncAdapt_aiosqlite_dbapi
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

try:
    from sqlean import dbapi2 as sqlite
except ImportError:  # no wheel for this platform: use the standard library's
    import sqlite3 as sqlite

DEFAULT_PATH = "data/gateway.db"
ERRORS = (sqlite.Error,)
INTEGRITY_ERROR = sqlite.IntegrityError
ROW_BUFFER = 64
BUSY_TIMEOUT_MS = 10_000
LIMIT_MESSAGES = ("parser stack", "too large", "too many", "at most", "too big", "maximum depth")
"""Parts of the messages in which SQLite says that a statement or a value exceeds its limits."""


async def connect(path: Path | str) -> aiosqlite.Connection:
    """Open a connection that only reads and belongs to no pool. The caller closes it."""
    engine = create_async_engine("sqlite+aiosqlite://", module=create_dbapi(path, read_only=True), poolclass=NullPool)
    connection = await engine.raw_connection()
    driver = connection.driver_connection
    connection.detach()
    return driver


def connect_sync(path: Path | str, *, read_only: bool, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> Any:
    """Open a connection without a thread. It begins transactions only when told to."""
    uri = f"{Path(path).absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
    connection = sqlite.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    connection.execute(f"PRAGMA busy_timeout = {busy_timeout_ms}")
    connection.execute("PRAGMA foreign_keys = ON")
    if not read_only:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # with less, a power cut takes back what was acknowledged
    connection.create_function("base64url", 1, encode_base64url, deterministic=True)
    return connection


def encode_base64url(text: str | None) -> str | None:
    return text and base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def create_engine(url: URL, **options: Any) -> AsyncEngine:
    """Create an engine. Its own transactions take the write lock, unless the execution option `read_only` is set."""
    path = Path(url.database or DEFAULT_PATH)
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = create_async_engine(url, module=create_dbapi(path, read_only=False), **options)

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        is_read_only = connection.get_execution_options().get("read_only")
        if not connection.connection.driver_connection.in_transaction:
            connection.exec_driver_sql("BEGIN" if is_read_only else "BEGIN IMMEDIATE")

    return engine


async def begin(driver: aiosqlite.Connection, *, read_only: bool) -> None:
    """Begin a transaction. A writer takes the write lock at once: after it has read, the lock could be denied."""
    await driver.execute_fetchall("BEGIN" if read_only else "BEGIN IMMEDIATE")


async def commit(driver: aiosqlite.Connection) -> None:
    """Commit. Raise `RuntimeError` if the session has rolled back, because a statement had failed."""
    if not driver.in_transaction:
        raise RuntimeError("Nothing was committed, because a statement had failed")
    await driver.commit()


async def rollback(driver: aiosqlite.Connection) -> None:
    await driver.rollback()


async def fetch(driver: aiosqlite.Connection, sql: str, parameters: Sequence[Any]) -> Sequence[Sequence[Any]]:
    """Execute a statement and return its rows."""
    return await driver.execute_fetchall(sql, parameters)


def create_dbapi(path: Path | str, *, read_only: bool) -> AsyncAdapt_aiosqlite_dbapi:
    """Return aiosqlite as SQLAlchemy's DBAPI, with the connections and the exceptions of this module's SQLite.

    SQLAlchemy makes each connection's thread a daemon: a crash of the main thread must not leave the process waiting.
    """

    def connect(*args: Any, **options: Any) -> aiosqlite.Connection:
        return aiosqlite.Connection(partial(connect_sync, path, read_only=read_only), ROW_BUFFER)

    driver = SimpleNamespace(**{**vars(sqlite), "Connection": aiosqlite.Connection, "connect": connect})
    return AsyncAdapt_aiosqlite_dbapi(driver, sqlite)


def is_lost(driver: aiosqlite.Connection, error: BaseException) -> bool:
    """Return whether the connection is lost. There is no server that could close it."""
    return False


def is_unavailable(error: BaseException) -> bool:
    """Return whether the file is locked or cannot be used now, so that the same may succeed a little later."""
    is_operational = isinstance(error, sqlite.OperationalError) and not exceeds_limits(error)
    return is_operational and "no such" not in str(error)


def exceeds_limits(error: BaseException) -> bool:
    """Return whether a statement or a value is larger than SQLite can process."""
    return isinstance(error, sqlite.Error) and any(part in str(error) for part in LIMIT_MESSAGES)
