"""The world in both databases, and an engine over each."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest

from gateway.graphql.database import ReadDatabase, open_reads
from gateway.graphql.engine import DocumentLimits, Engine, GraphQLRequest
from models import Database, Viewer
from resolvers import RequestContext
from resolvers.tokens import Tokens
from schema import schema
from tests.conftest import DATABASES, Sources
from tests.gateway.graphql import world
from tests.support.servers import Server

GENEROUS = DocumentLimits(cost=10**12)
"""These tests ask for more, and deeper, than a server would answer."""


@dataclass
class Asking:
    """An engine over a database, and a context for whoever asks."""

    db: Database
    reads: ReadDatabase
    engine: Engine
    tokens: Tokens = field(default_factory=lambda: Tokens("s" * 40))

    def context(self, viewer: Viewer | None = None) -> RequestContext:
        return RequestContext(db=self.db, tokens=self.tokens, viewer=viewer, request_id="r")

    async def __call__(
        self, source: str, variables: dict[str, Any] | None = None, viewer: Viewer | None = None, **named: Any
    ) -> dict[str, Any]:
        """The response, parsed."""
        answer = await self.engine.execute(GraphQLRequest(source, variables, **named), self.context(viewer))
        told = orjson.loads(answer.body)
        assert answer.has_data == ("data" in told)
        assert answer.errors == [error["extensions"]["code"] for error in told.get("errors", ())]
        return told

    async def data(self, source: str, variables: dict[str, Any] | None = None, viewer: Viewer | None = None) -> Any:
        """The data of a response without errors."""
        told = await self(source, variables, viewer)
        assert "errors" not in told, told
        return told["data"]

    async def error(self, source: str, variables: dict[str, Any] | None = None, viewer: Viewer | None = None) -> Any:
        """The one error of a response."""
        told = await self(source, variables, viewer)
        assert len(told.get("errors", ())) == 1, told
        return told["errors"][0]

    @property
    def statements(self) -> int:
        counter = getattr(self.reads, "batcher", self.reads)
        return counter.statements


@asynccontextmanager
async def asking(url: str) -> AsyncIterator[Asking]:
    db, reads = Database(url, pool_size=2), await open_reads(url, size=2)
    yield Asking(db, reads, Engine(schema, reads, DocumentLimits(cost=10**9)))
    await reads.close()
    await db.close()


@asynccontextmanager
async def the_world(sources: Sources, dialect: str, name: str) -> AsyncIterator[Asking]:
    async with asking(await sources.create(dialect, name)) as asked:
        await world.fill(asked.db)
        yield asked


@pytest.fixture(params=DATABASES, scope="session")
async def ask(request: pytest.FixtureRequest, anyio_backend: str, sources: Sources) -> AsyncIterator[Asking]:
    """The world, to be read and not changed."""
    async with the_world(sources, request.param, "world") as asked:
        yield asked


@pytest.fixture(scope="session")
async def both(anyio_backend: str, sources: Sources) -> AsyncIterator[list[Asking]]:
    """The world in either database, to be read and not changed."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(the_world(sources, dialect, "twin")) for dialect in DATABASES]


@pytest.fixture
async def do(database_url: str) -> AsyncIterator[Asking]:
    """An empty database, to be written to."""
    async with asking(database_url) as asked:
        yield asked


@pytest.fixture
async def uncached(anyio_backend: str, make_server: Callable[..., Awaitable[Server]]) -> Server:
    """Another server on the same database, without caches."""
    return await make_server(response_cache="off", count_cache="off")
