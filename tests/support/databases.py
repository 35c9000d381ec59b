"""Databases for tests: migrated once, then copied, and emptied between tests."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
from sqlalchemy import URL
from sqlmodel import SQLModel

from models import Database
from models.migrations import upgrade
from tests.support.stores import format_libpq_url


def template_name(run: str) -> str:
    return f"dovetail_test_{run}"


@asynccontextmanager
async def open_maintenance_connection(server: URL) -> AsyncIterator[asyncpg.Connection]:
    """A connection for making and dropping databases."""
    connection = await asyncpg.connect(format_libpq_url(server))
    try:
        yield connection
    finally:
        await connection.close()


async def create_postgres_database(server: URL, run: str, name: str) -> URL:
    """A migrated database of that name's own; the run's first caller makes the template that all copies come from."""
    template, copy = template_name(run), f"{template_name(run)}_{name}"
    async with open_maintenance_connection(server) as connection:
        await connection.execute("select pg_advisory_lock(hashtext($1))", template)
        if not await connection.fetchval("select 1 from pg_database where datname = $1", template):
            await connection.execute(f'create database "{template}"')
            await upgrade(server.set(database=template).render_as_string(hide_password=False))
        await connection.execute(f'create database "{copy}" template "{template}"')
    return server.set(database=copy)


async def drop_database(server: URL, database: str) -> None:
    async with open_maintenance_connection(server) as connection:
        await connection.execute(f'drop database if exists "{database}" with (force)')


async def create_sqlite_database(folder: Path, name: str) -> str:
    """The URL of a migrated SQLite file of that name's own."""
    template, copy = folder / "template.db", folder / f"{name}.db"
    if not template.exists():
        await upgrade(f"sqlite+aiosqlite:///{template}")
    shutil.copyfile(template, copy)
    return f"sqlite+aiosqlite:///{copy}"


async def delete_all_rows(db: Database) -> None:
    """Take out every row. On tables as small as a test's this is quicker than TRUNCATE, by ten times."""
    async with db.writing() as session:
        for table in reversed(SQLModel.metadata.sorted_tables):
            await session.execute(table.delete())
