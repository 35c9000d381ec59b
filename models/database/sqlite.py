"""Which SQLite this process uses, and how its connections are set up.

Debian's own is old enough to overflow its parser on deeply nested selections, so a newer one rides along in a wheel.
"""

import base64
from functools import partial
from pathlib import Path
from typing import Any

import aiosqlite
from sqlalchemy.dialects.sqlite.aiosqlite import AsyncAdapt_aiosqlite_dbapi

try:
    from sqlean import dbapi2 as sqlite
except ImportError:  # no wheel for this platform: the standard library's has to do
    import sqlite3 as sqlite

ROW_BUFFER = 64
BUSY_MS = 10_000


class Dbapi(AsyncAdapt_aiosqlite_dbapi):
    """aiosqlite over the SQLite above, which has exceptions of its own."""

    def __init__(self) -> None:
        super().__init__(aiosqlite, sqlite)

    def _init_dbapi_attributes(self) -> None:
        bundled, self.aiosqlite = self.aiosqlite, sqlite
        try:
            super()._init_dbapi_attributes()
        finally:
            self.aiosqlite = bundled


def connect(path: Path | str, *, read_only: bool = False) -> aiosqlite.Connection:
    """An aiosqlite connection, to be awaited, whose transactions begin only when told to."""

    connection = aiosqlite.Connection(partial(opened, path, read_only=read_only), ROW_BUFFER)
    connection._thread.daemon = True
    """A crash of the main thread must not leave the process waiting for this one."""
    return connection


def opened(path: Path | str, *, read_only: bool, patience: int = BUSY_MS) -> Any:
    """The same connection without a thread. `patience`: the milliseconds that it waits for a lock."""
    address = f"{Path(path).absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
    connection = sqlite.connect(address, uri=True, isolation_level=None, check_same_thread=False)
    connection.execute(f"PRAGMA busy_timeout = {patience}")
    connection.execute("PRAGMA foreign_keys = ON")
    if not read_only:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # with less, a power cut takes back what was acknowledged
    connection.create_function("base64url", 1, base64url, deterministic=True)
    return connection


def base64url(text: str | None) -> str | None:
    return text and base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def dbapi() -> Dbapi:
    return Dbapi()
