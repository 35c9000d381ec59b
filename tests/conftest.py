"""What any test may ask for. Async tests need no marker; `-n auto` gives each worker databases of its own.

    database_url      "sqlite" and "postgres" in turn: a migrated database of this worker's, empty
    postgres_url      the Postgres one alone, empty           sqlite_url   the SQLite one alone, empty
    redis_url         a Redis; keys in it may be anybody's, so tell callers apart by their address
    server            the application in this process, on either database in turn, empty (support/servers.py: `Server`)
    make_server       `await make_server(rate_limit_auth="3/minute", …)`: another on the same database, set up otherwise
    live              a server on a socket, on either database in turn, empty (support/live_server.py: `LiveServer`)
    listen            `await listen(url, max_streams_per_viewer=2, …)`: others, stopped when the test ends
    gateway_url       the address of a real `gateway serve` in a process of its own, on SQLite
    graphql, rest     callers over one protocol (support/callers.py)
    api               a caller over GraphQL and over REST in turn
    author, stranger, admin     accounts, signed in (support/accounts.py: `Account`)
    anonymous         nobody: None
    draft, published  posts of the author
    unused_database   `await unused_database("sqlite" | "postgres")`: the URL of a database that is all yours

`support.stores.unavailable(what, why)` skips a test for what this machine lacks, and fails it in CI.
"""

import asyncio
import os
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, make_url

from gateway.settings import Settings
from models import Database, Role
from resolvers import passwords
from tests.support import databases, stores
from tests.support.accounts import FAST_HASHER, Account
from tests.support.callers import Caller, GraphQL, Rest
from tests.support.hanging import report_if_hanging
from tests.support.live_server import LiveServer, open_live_server
from tests.support.servers import Server, clear_caches, open_server, run_gateway
from tests.support.writing import CONTENT

DATABASES = ["sqlite", "postgres"]
PROTOCOLS = {"graphql": GraphQL, "rest": Rest}

RUN = pytest.StashKey["Run"]()
HANG_TIMEOUT_SECONDS = 300.0
"""Seconds after which a test is said to hang; `faulthandler_timeout` ends it later."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the tests, which has several workers under xdist."""

    id: str
    folder: Path
    worker: str | None

    @property
    def postgres_seen(self) -> Path:
        """Where a worker notes which server holds the run's template."""
        return self.folder / "postgres-url"


def pytest_configure(config: pytest.Config) -> None:
    for name in Settings.model_fields:  # what is set on this machine must not change what is tested
        os.environ.pop(name.upper(), None)
    passwords.HASHER = FAST_HASHER
    given = getattr(config, "workerinput", None)
    if given:
        config.stash[RUN] = Run(given["run"], Path(given["folder"]), given["workerid"])
    else:
        config.stash[RUN] = Run(uuid.uuid4().hex[:8], Path(tempfile.mkdtemp(prefix="dovetail-")), None)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    run = node.config.stash[RUN]
    node.workerinput |= {"run": run.id, "folder": str(run.folder)}


def pytest_unconfigure(config: pytest.Config) -> None:
    run = config.stash.get(RUN, None)
    if run and not hasattr(config, "workerinput"):
        if run.postgres_seen.exists():
            with suppress(OSError):  # one that the wheel started has ended with its last worker
                asyncio.run(
                    databases.drop_database(make_url(run.postgres_seen.read_text()), databases.template_name(run.id))
                )
        shutil.rmtree(run.folder, ignore_errors=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    with report_if_hanging(item, HANG_TIMEOUT_SECONDS):
        return (yield)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """One event loop for a worker's whole session, so that servers and their connections can be shared."""
    return "asyncio"


@dataclass
class DatabaseFactory:
    """Databases of this worker, created on first use."""

    run: Run
    folder: Path
    stack: AsyncExitStack
    postgres: URL | None = None
    made: list[URL] = field(default_factory=list)

    async def postgres_server(self) -> URL:
        if self.postgres is None:
            self.postgres = await self.stack.enter_async_context(stores.postgres_server(self.run.folder))
            self.run.postgres_seen.write_text(self.postgres.render_as_string(hide_password=False))
        return self.postgres

    async def create(self, dialect: str, name: str) -> str:
        """Create a migrated database, and return its URL."""
        if dialect == "sqlite":
            return await databases.create_sqlite_database(self.folder, name)
        server = await self.postgres_server()
        self.made.append(
            await databases.create_postgres_database(server, self.run.id, f"{self.run.worker or 'only'}_{name}")
        )
        return self.made[-1].render_as_string(hide_password=False)

    async def drop(self) -> None:
        for url in self.made:
            await databases.drop_database(await self.postgres_server(), str(url.database))


@pytest.fixture(scope="session")
async def database_factory(
    anyio_backend: str, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[DatabaseFactory]:
    async with AsyncExitStack() as stack:
        database_factory = DatabaseFactory(pytestconfig.stash[RUN], tmp_path_factory.mktemp("databases"), stack)
        yield database_factory
        await database_factory.drop()


@dataclass
class Servers:
    """This worker's databases and the applications on them: kept for all its tests, emptied before each."""

    database_factory: DatabaseFactory
    stack: AsyncExitStack
    urls: dict[str, str] = field(default_factory=dict)
    databases: dict[str, Database] = field(default_factory=dict)
    running: dict[str, Server] = field(default_factory=dict)

    async def database(self, dialect: str) -> str:
        """The URL of this worker's database of that kind, empty."""
        if dialect not in self.urls:
            self.urls[dialect] = await self.database_factory.create(dialect, "shared")
            self.databases[dialect] = Database(self.urls[dialect], pool_size=1)
            self.stack.push_async_callback(self.databases[dialect].close)
        if server := self.running.get(self.urls[dialect]):
            clear_caches(server.app)  # otherwise its event log reports that it was rewound
        await databases.delete_all_rows(self.databases[dialect])
        return self.urls[dialect]

    async def on(self, url: str) -> Server:
        if url not in self.running:
            self.running[url] = await self.stack.enter_async_context(open_server(url))
        clear_caches(self.running[url].app)
        return self.running[url]


@pytest.fixture(scope="session")
async def servers(anyio_backend: str, database_factory: DatabaseFactory) -> AsyncIterator[Servers]:
    async with AsyncExitStack() as stack:
        yield Servers(database_factory, stack)


@pytest.fixture(params=DATABASES)
async def database_url(request: pytest.FixtureRequest, anyio_backend: str, servers: Servers) -> str:
    return await servers.database(request.param)


@pytest.fixture
async def postgres_url(anyio_backend: str, servers: Servers) -> str:
    return await servers.database("postgres")


@pytest.fixture
async def sqlite_url(anyio_backend: str, servers: Servers) -> str:
    return await servers.database("sqlite")


@pytest.fixture
def unused_database(database_factory: DatabaseFactory) -> Callable[[str], Awaitable[str]]:
    """Return a function that creates migrated databases for this test alone."""

    async def create(dialect: str) -> str:
        return await database_factory.create(dialect, uuid.uuid4().hex[:8])

    return create


@pytest.fixture(scope="session")
async def redis_url(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    named = os.environ.get("TEST_REDIS_URL")
    if await stores.is_redis_available(named or stores.LOCAL_REDIS):
        yield named or stores.LOCAL_REDIS
    elif named:
        stores.unavailable("Redis", "TEST_REDIS_URL does not answer")
    else:
        with stores.start_redis(tmp_path_factory.mktemp("redis")) as url:
            yield url


@pytest.fixture
async def server(anyio_backend: str, database_url: str, servers: Servers) -> Server:
    return await servers.on(database_url)


@pytest.fixture
async def make_server(anyio_backend: str, database_url: str) -> AsyncIterator[Callable[..., Awaitable[Server]]]:
    """Return a function that starts servers, which stop with the test."""
    async with AsyncExitStack() as stack:

        async def start(**settings: Any) -> Server:
            return await stack.enter_async_context(open_server(database_url, **settings))

        yield start


@pytest.fixture
async def make_live_server(anyio_backend: str) -> AsyncIterator[Callable[..., Awaitable[LiveServer]]]:
    async with AsyncExitStack() as stack:

        async def start(database_url: str, **settings: Any) -> LiveServer:
            return await stack.enter_async_context(open_live_server(database_url, **settings))

        yield start


@pytest.fixture
async def live(database_url: str, make_live_server: Callable[..., Awaitable[LiveServer]]) -> LiveServer:
    return await make_live_server(database_url)


@pytest.fixture(scope="session")
async def gateway_url(
    anyio_backend: str, database_factory: DatabaseFactory, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[str]:
    url = await database_factory.create("sqlite", "live")
    with run_gateway(tmp_path_factory.mktemp("live"), url, STRIPE_WEBHOOK_SECRET="whsec_live") as address:
        yield address


@pytest.fixture
def graphql(server: Server) -> GraphQL:
    return GraphQL(server.anonymous)


@pytest.fixture
def rest(server: Server) -> Rest:
    return Rest(server.anonymous)


@pytest.fixture(params=PROTOCOLS)
def api(request: pytest.FixtureRequest, server: Server) -> Caller:
    return PROTOCOLS[request.param](server.anonymous)


@pytest.fixture
async def author(anyio_backend: str, server: Server) -> Account:
    return await server.account("Ann Author")


@pytest.fixture
async def stranger(anyio_backend: str, server: Server) -> Account:
    return await server.account("Sam Stranger")


@pytest.fixture
async def admin(anyio_backend: str, server: Server) -> Account:
    return await server.account("Ada Admin", Role.ADMIN)


@pytest.fixture
def anonymous() -> None:
    """Return no viewer."""


@pytest.fixture
async def draft(anyio_backend: str, server: Server, author: Account) -> dict[str, Any]:
    """Create a draft of the author."""
    return await GraphQL(server.anonymous).create(author, title="A draft", content=CONTENT)


@pytest.fixture
async def published(anyio_backend: str, server: Server, author: Account) -> dict[str, Any]:
    """Create a published post of the author."""
    return await GraphQL(server.anonymous).create(author, title="A published post", content=CONTENT, status="PUBLISHED")
