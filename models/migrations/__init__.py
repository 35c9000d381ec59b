"""Run Alembic's migrations from code, on both databases."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from threading import Lock
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.database import Database
from models.errors import Unavailable

MIGRATION_LOCK_KEY = 0x646F7665
"""The key of Postgres' advisory lock: of several servers that start at once, one migrates and the others wait."""

LOCK_NOT_AVAILABLE = "55P03"
"""Postgres' SQLSTATE for a lock that was not acquired within `lock_timeout`."""
LOCK_TIMEOUT, RETRY_DELAY = 3.0, 2.0
"""Seconds that a migration waits for a table's lock, and seconds until it tries again. While it waits, all later
queries on the table wait behind it, so it must not wait for long."""
RETRY_TIMEOUT = 60.0
"""Seconds after which the migration fails."""

LOCK_HOLDERS = """
    SELECT DISTINCT format('process %s (%s, %s, for %s s)', pid, coalesce(nullif(application_name, ''), 'no name'),
                           state, extract(epoch FROM now() - xact_start)::int)
    FROM pg_stat_activity JOIN pg_locks USING (pid)
    WHERE datname = current_database() AND pid != pg_backend_pid() AND locktype = 'relation' AND granted
      AND xact_start < now() - interval '3 seconds'"""
"""Select descriptions of the transactions that have held a table's lock for longer than `LOCK_TIMEOUT`."""

logger = logging.getLogger("models.migrations")
_alembic_lock = Lock()
"""Alembic keeps the running migration in global variables, so a process runs one at a time."""


async def upgrade(url: str, revision: str = "head") -> None:
    """Upgrade a database to a revision. Log a warning and change nothing if the database is newer than this code."""

    def upgrade_unless_newer(connection: Connection, config: Config) -> None:
        if unknown := heads(connection) - known_revisions(config):
            logger.warning("The database is at revision %s, which is newer than this version", ", ".join(unknown))
        else:
            command.upgrade(config, revision)

    await asyncio.to_thread(run, url, upgrade_unless_newer)


async def downgrade(url: str, revision: str) -> None:
    """Downgrade a database to a revision; `base` is the empty database."""
    await asyncio.to_thread(run, url, lambda connection, config: command.downgrade(config, revision))


async def is_current(url: str) -> bool:
    """Return whether a database is at the latest revision or at a newer one than this code has."""

    def compare(connection: Connection, config: Config) -> bool:
        current = heads(connection)
        return bool(current - known_revisions(config)) or current == set(
            ScriptDirectory.from_config(config).get_heads()
        )

    return await asyncio.to_thread(run, url, compare, writing=False)


def heads(connection: Connection) -> set[str]:
    """Return the current revisions of a database; none if it is empty."""
    return set(MigrationContext.configure(connection).get_current_heads())


def known_revisions(config: Config) -> set[str]:
    return {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}


def configuration(connection: Connection | None = None) -> Config:
    """Return the configuration that others keep in `alembic.ini`."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("file_template", "%%(year)d_%%(month).2d_%%(day).2d_%%(slug)s")
    config.set_main_option("path_separator", "os")
    return config


def run(url: str, work: Callable[[Connection, Config], Any], *, writing: bool = True) -> Any:
    """Run a function in one transaction of a database, in an event loop of its own."""

    async def run_async() -> Any:
        db = Database(url)
        try:
            return await retry_on_lock(db, lambda: in_transaction(db, work, writing=writing))
        finally:
            await db.close()

    with _alembic_lock:
        return asyncio.run(run_async())


async def retry_on_lock(db: Database, attempt: Callable[[], Awaitable[Any]]) -> Any:
    """Retry while a table is locked. Raise `Unavailable` after `RETRY_TIMEOUT`."""
    deadline = time.monotonic() + RETRY_TIMEOUT
    while True:
        try:
            return await attempt()
        except Unavailable as error:
            if getattr(error.__cause__, "sqlstate", None) != LOCK_NOT_AVAILABLE:
                raise
        if time.monotonic() > deadline:
            raise Unavailable(f"The database's tables are in use: {await lock_holders(db)}")
        logger.warning("The database's tables are in use; the migration will be retried")
        await asyncio.sleep(RETRY_DELAY)


async def in_transaction(db: Database, work: Callable[[Connection, Config], Any], *, writing: bool) -> Any:
    """Run a function in a transaction that is rolled back if it fails."""
    async with db.engine.execution_options(read_only=not writing).connect() as connection:
        if db.is_sqlite:
            await disable_foreign_keys(connection)
        async with connection.begin():
            if writing and not db.is_sqlite:
                await acquire_migration_lock(connection)
            result = await connection.run_sync(lambda sync: work(sync, configuration(sync)))
            if writing and db.is_sqlite:
                await check_foreign_keys(connection)
            return result


async def acquire_migration_lock(connection: AsyncConnection) -> None:
    """Wait for other migrations without a limit, then set the timeout for locks on tables."""
    await connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK_KEY})"))
    await connection.execute(text(f"SET LOCAL lock_timeout = {round(LOCK_TIMEOUT * 1000)}"))


async def lock_holders(db: Database) -> str:
    """Return a description of the transactions that hold locks on tables."""
    async with db.engine.connect() as connection:
        holders = list(await connection.scalars(text(LOCK_HOLDERS)))
    return ", ".join(holders) or "many short transactions"


async def disable_foreign_keys(connection: AsyncConnection) -> None:
    """Turn off SQLite's foreign keys, since it changes a table by recreating it; they are checked afterwards."""
    raw = await connection.get_raw_connection()
    await raw.driver_connection.execute("PRAGMA foreign_keys = OFF")


async def check_foreign_keys(connection: AsyncConnection) -> None:
    if broken := (await connection.execute(text("PRAGMA foreign_key_check"))).fetchall():
        raise RuntimeError(f"The migration was rolled back: it broke the foreign keys of {len(broken)} rows")
