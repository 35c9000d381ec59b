"""Empty databases of the test's own, on SQLite and on Postgres."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

POSTGRES = os.environ.get("TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def on_postgres() -> AsyncIterator[str]:
    """The URL of a new database there, which goes when the test does."""
    name = f"dovetail_house_{uuid4().hex}"
    try:
        admin = await asyncpg.connect(POSTGRES.replace("+asyncpg", ""))
    except OSError as error:
        pytest.skip(f"no Postgres answers at TEST_POSTGRES_URL: {error}")
    try:
        await admin.execute(f'CREATE DATABASE "{name}"')
        base, _, options = POSTGRES.partition("?")
        yield f"{base.rsplit('/', 1)[0].replace('postgresql://', 'postgresql+asyncpg://')}/{name}?{options}".rstrip("?")
        await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    finally:
        await admin.close()


@pytest.fixture(params=["sqlite", "postgres"])
async def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Callable]:
    """Makes empty databases, all of one kind."""
    async with AsyncExitStack() as stack:

        async def make() -> str:
            if request.param == "sqlite":
                return f"sqlite+aiosqlite:///{tmp_path / uuid4().hex}.db"
            return await stack.enter_async_context(on_postgres())

        yield make


@pytest.fixture
async def empty_database(new_database: Callable) -> str:
    return await new_database()


@pytest.fixture
async def another_empty_database(new_database: Callable) -> str:
    return await new_database()
