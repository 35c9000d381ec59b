"""How the tables come to be what `models` declares: Alembic's revisions, run from code, on both databases."""

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
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from models.database import Database
from models.errors import Unavailable

HERE = Path(__file__).parent

ONE_AT_A_TIME = 0x646F7665
"""The key of Postgres' advisory lock: of several servers starting at once, one migrates and the others wait."""

LOCKED = "55P03"
"""Postgres' word for a lock that was not to be had in time."""
LOCK_TIMEOUT, RETRY_DELAY = 3.0, 2.0
"""Seconds that a migration waits for a table, and for which it then leaves the table to others: whoever asks for one
after it waits with it, so that the server would stand still for as long as the migration waits."""
GIVE_UP_AFTER = 60.0
"""Seconds after which it gives up."""

HOLDERS = """
    SELECT DISTINCT format('process %s (%s, %s, for %s s)', pid, coalesce(nullif(application_name, ''), 'no name'),
                           state, extract(epoch FROM now() - xact_start)::int)
    FROM pg_stat_activity JOIN pg_locks USING (pid)
    WHERE datname = current_database() AND pid != pg_backend_pid() AND locktype = 'relation' AND granted
      AND xact_start < now() - interval '3 seconds'"""
"""Who has held a table's lock for longer than a migration waits for one."""

logger = logging.getLogger("models.migrations")
_alembic_lock = Lock()
"""Alembic keeps the running migration in globals, so a process runs one at a time."""


async def upgrade(url: str, revision: str = "head") -> None:
    """Bring a database up to a revision; one that is newer than this code knows is left as it is."""

    def to(connection: Connection, config: Config) -> None:
        if unknown := heads(connection) - known_revisions(config):
            logger.warning("The database is at revision %s, which is newer than this version", ", ".join(unknown))
        else:
            command.upgrade(config, revision)

    await asyncio.to_thread(run, url, to)


async def downgrade(url: str, revision: str) -> None:
    """Take a database back to a revision; `base` is before the first."""
    await asyncio.to_thread(run, url, lambda connection, config: command.downgrade(config, revision))


async def is_current(url: str) -> bool:
    """Whether a database has everything that this code needs; it may have more."""

    def compare(connection: Connection, config: Config) -> bool:
        there = heads(connection)
        return bool(there - known_revisions(config)) or there == set(ScriptDirectory.from_config(config).get_heads())

    return await asyncio.to_thread(run, url, compare, writing=False)


def heads(connection: Connection) -> set[str]:
    """The revisions that a database says it is at; none when it is new."""
    return set(MigrationContext.configure(connection).get_current_heads())


def known_revisions(config: Config) -> set[str]:
    return {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}


def configuration(connection: Connection | None = None) -> Config:
    """What alembic.ini would say."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(HERE).replace("%", "%%"))
    config.set_main_option("file_template", "%%(year)d_%%(month).2d_%%(day).2d_%%(slug)s")
    config.set_main_option("path_separator", "os")
    return config


def run(url: str, work: Callable[[Connection, Config], Any], *, writing: bool = True) -> Any:
    """Do something to a database in one transaction, whatever event loop the caller is in."""
    with _alembic_lock:
        return asyncio.run(connected(url, work, writing=writing))


async def connected(url: str, work: Callable[[Connection, Config], Any], *, writing: bool) -> Any:
    db = Database(url)
    try:
        return await retry_on_lock(db, lambda: in_transaction(db, work, writing=writing))
    finally:
        await db.close()


async def retry_on_lock(db: Database, attempt: Callable[[], Awaitable[Any]]) -> Any:
    """Try again while tables are in use. Raises `Unavailable` once that has gone on for too long."""
    until = time.monotonic() + GIVE_UP_AFTER
    while True:
        try:
            return await attempt()
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != LOCKED:
                raise
        if time.monotonic() > until:
            raise Unavailable(f"The database's tables are in use: {await lock_holders(db)}")
        logger.warning("The database's tables are in use; the migration tries again")
        await asyncio.sleep(RETRY_DELAY)


async def in_transaction(db: Database, work: Callable[[Connection, Config], Any], *, writing: bool) -> Any:
    """One attempt, which leaves nothing behind if it fails."""
    async with db.engine.execution_options(writing=writing).connect() as connection:
        if db.is_sqlite:
            await disable_foreign_keys(connection)
        async with connection.begin():
            if writing and not db.is_sqlite:
                await acquire_migration_lock(connection)
            answer = await connection.run_sync(lambda sync: work(sync, configuration(sync)))
            if writing and db.is_sqlite:
                await check_foreign_keys(connection)
            return answer


async def acquire_migration_lock(connection: AsyncConnection) -> None:
    """Wait for other migrations for as long as they take, and from then on for tables in use only for a while."""
    await connection.execute(text(f"SELECT pg_advisory_xact_lock({ONE_AT_A_TIME})"))
    await connection.execute(text(f"SET LOCAL lock_timeout = {round(LOCK_TIMEOUT * 1000)}"))


async def lock_holders(db: Database) -> str:
    """Who keeps others from a table, in words for an operator."""
    async with db.engine.connect() as connection:
        found = list(await connection.scalars(text(HOLDERS)))
    return ", ".join(found) or "by many, for a short time each"


async def disable_foreign_keys(connection: AsyncConnection) -> None:
    """SQLite changes a table by making it anew, which foreign keys would hinder; `hold` checks them after."""
    raw = await connection.get_raw_connection()
    await raw.driver_connection.execute("PRAGMA foreign_keys = OFF")


async def check_foreign_keys(connection: AsyncConnection) -> None:
    if broken := (await connection.execute(text("PRAGMA foreign_key_check"))).fetchall():
        raise RuntimeError(f"The migration left {len(broken)} rows that refer to nothing; it is undone")
