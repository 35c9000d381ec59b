"""Databases that nothing has migrated yet, on SQLite and on Postgres; `database_url` and its kind are migrated."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from tests.conftest import DATABASES, DatabaseFactory
from tests.support.databases import drop_database, open_maintenance_connection

Make = Callable[[], Awaitable[str]]


@asynccontextmanager
async def bare_postgres(database_factory: DatabaseFactory) -> AsyncIterator[str]:
    """The URL of a new database, which goes when the test does."""
    server, name = await database_factory.postgres_server(), f"dovetail_bare_{uuid4().hex}"
    async with open_maintenance_connection(server) as connection:
        await connection.execute(f'CREATE DATABASE "{name}"')
    try:
        yield server.set(database=name).render_as_string(hide_password=False)
    finally:
        await drop_database(server, name)


@pytest.fixture(params=DATABASES)
async def bare_database(
    request: pytest.FixtureRequest, database_factory: DatabaseFactory, tmp_path: Path
) -> AsyncIterator[Make]:
    """Makes databases without a table, all of one kind."""
    async with AsyncExitStack() as stack:

        async def make() -> str:
            if request.param == "sqlite":
                return f"sqlite+aiosqlite:///{tmp_path / uuid4().hex}.db"
            return await stack.enter_async_context(bare_postgres(database_factory))

        yield make


@pytest.fixture
async def empty_database(bare_database: Make) -> str:
    return await bare_database()


@pytest.fixture
async def another_empty_database(bare_database: Make) -> str:
    return await bare_database()


@pytest.fixture
async def bare_postgres_url(database_factory: DatabaseFactory) -> AsyncIterator[str]:
    async with bare_postgres(database_factory) as url:
        yield url
