"""What tests of real clients ask for.

folder        where `subscribe.js` runs: with its packages, or the test is skipped
running       a server in a process of its own, on either database in turn, and a way to write to it (`Running`)
"""

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from models import Database, Event
from resolvers.tokens import Tokens
from tests.clients.packages import packages
from tests.clients.streams.subscriber import Subscriber, open_subscriber
from tests.conftest import DATABASES, DatabaseFactory
from tests.support.accounts import Account, sign_up
from tests.support.callers import GraphQL
from tests.support.processes import ServerProcess
from tests.support.proxy import Proxy, open_proxy
from tests.support.servers import SECRET
from tests.support.writing import CONTENT

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Running:
    """A server, the wire that followers reach it by, and an author."""

    server: ServerProcess
    proxy: Proxy
    graphql: GraphQL
    author: Account
    start: int
    """The cursor of before the test."""

    def subscribe(self, client: str, folder: Path, **options: Any) -> AbstractAsyncContextManager[Subscriber]:
        """A follower from the test's beginning on, so that it does not matter when it is heard."""
        return open_subscriber(client, folder, self.proxy.address, since=str(self.start), **options)

    async def sign_out(self) -> None:
        body = {"refreshToken": self.author.refresh_token}
        assert (await self.graphql.http.post("/api/auth/logout", json=body)).status_code == 204

    async def create(self) -> str:
        """The id of a new draft; one event, for its author alone."""
        return (await self.graphql.create(self.author, title="A post", content=CONTENT))["id"]

    async def publish(self, id: str) -> None:
        assert (await self.graphql.publish(self.author, id))["status"] == "PUBLISHED"

    async def like(self, id: str) -> None:
        assert (await self.graphql.like(self.author, id))["likeCount"] == 1


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    installed, folder = packages(HERE), tmp_path_factory.mktemp("followers")
    shutil.copytree(HERE, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    (folder / "node_modules").symlink_to(installed, target_is_directory=True)
    return folder


@dataclass
class Processes:
    """A server for each database, for all tests of this worker."""

    folder: Path
    stack: AsyncExitStack
    create: Callable[[str], Awaitable[str]]
    started: dict[str, tuple[ServerProcess, Proxy, Database]] = field(default_factory=dict)

    async def on(self, dialect: str) -> tuple[ServerProcess, Proxy, Database]:
        if dialect not in self.started:
            db = Database(url := await self.create(dialect), pool_size=1)
            self.stack.push_async_callback(db.close)
            server = await self.stack.enter_async_context(ServerProcess(self.folder, url))
            self.started[dialect] = server, await self.stack.enter_async_context(open_proxy(server.address)), db
        return self.started[dialect]


@pytest.fixture(scope="session")
async def processes(
    anyio_backend: str, database_factory: DatabaseFactory, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Processes]:
    async with AsyncExitStack() as stack:
        yield Processes(
            tmp_path_factory.mktemp("servers"), stack, lambda dialect: database_factory.create(dialect, "followed")
        )


@pytest.fixture(params=DATABASES)
async def running(request: pytest.FixtureRequest, anyio_backend: str, processes: Processes) -> AsyncIterator[Running]:
    server, proxy, db = await processes.on(request.param)
    author = await sign_up(db, Tokens(SECRET), name="Ann Author")
    async with db.reading() as session:
        newest = await session.scalar(select(func.max(Event.id))) or 0
    async with httpx.AsyncClient(base_url=server.address, timeout=60) as http:
        yield Running(server, proxy, GraphQL(http), author, newest)
