"""Databases that nothing has migrated yet, on SQLite and on Postgres; `database_url` and its kind are migrated."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from tests.conftest import DATABASES, Sources
from tests.support.databases import drop, maintenance

Make = Callable[[], Awaitable[str]]


@asynccontextmanager
async def bare_postgres(sources: Sources) -> AsyncIterator[str]:
    """The URL of a new database, which goes when the test does."""
    server, name = await sources.postgres_server(), f"dovetail_bare_{uuid4().hex}"
    async with maintenance(server) as connection:
        await connection.execute(f'CREATE DATABASE "{name}"')
    try:
        yield server.set(database=name).render_as_string(hide_password=False)
    finally:
        await drop(server, name)


@pytest.fixture(params=DATABASES)
async def bare_database(request: pytest.FixtureRequest, sources: Sources, tmp_path: Path) -> AsyncIterator[Make]:
    """Makes databases without a table, all of one kind."""
    async with AsyncExitStack() as stack:

        async def make() -> str:
            if request.param == "sqlite":
                return f"sqlite+aiosqlite:///{tmp_path / uuid4().hex}.db"
            return await stack.enter_async_context(bare_postgres(sources))

        yield make


@pytest.fixture
async def empty_database(bare_database: Make) -> str:
    return await bare_database()


@pytest.fixture
async def another_empty_database(bare_database: Make) -> str:
    return await bare_database()


@pytest.fixture
async def bare_postgres_url(sources: Sources) -> AsyncIterator[str]:
    async with bare_postgres(sources) as url:
        yield url
