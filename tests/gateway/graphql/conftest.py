"""Engines on both databases, filled or empty."""

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
from tests.conftest import DATABASES, DatabaseFactory
from tests.gateway.graphql import world
from tests.support.servers import Server

GENEROUS_LIMITS = DocumentLimits(cost=10**12)
"""For queries that are larger and deeper than a server allows."""


@dataclass
class EngineClient:
    """An engine on a database, and contexts for its viewers."""

    db: Database
    reads: ReadDatabase
    engine: Engine
    tokens: Tokens = field(default_factory=lambda: Tokens("s" * 40))

    def context(self, viewer: Viewer | None = None) -> RequestContext:
        return RequestContext(db=self.db, tokens=self.tokens, viewer=viewer, request_id="r")

    async def __call__(
        self, source: str, variables: dict[str, Any] | None = None, viewer: Viewer | None = None, **named: Any
    ) -> dict[str, Any]:
        """Return the parsed response."""
        response = await self.engine.execute(GraphQLRequest(source, variables, **named), self.context(viewer))
        result = orjson.loads(response.body)
        assert response.has_data == ("data" in result)
        assert response.errors == [error["extensions"]["code"] for error in result.get("errors", ())]
        return result

    async def data(self, source: str, variables: dict[str, Any] | None = None, viewer: Viewer | None = None) -> Any:
        """Return the data of a response, which must have no errors."""
        result = await self(source, variables, viewer)
        assert "errors" not in result, result
        return result["data"]

    async def error(self, source: str, variables: dict[str, Any] | None = None, viewer: Viewer | None = None) -> Any:
        """Return the only error of a response."""
        result = await self(source, variables, viewer)
        assert len(result.get("errors", ())) == 1, result
        return result["errors"][0]

    @property
    def statements(self) -> int:
        counter = getattr(self.reads, "batcher", self.reads)
        return counter.statements


@asynccontextmanager
async def open_client(url: str) -> AsyncIterator[EngineClient]:
    db, reads = Database(url, pool_size=2), await open_reads(url, size=2)
    yield EngineClient(db, reads, Engine(schema, reads, DocumentLimits(cost=10**9)))
    await reads.close()
    await db.close()


@asynccontextmanager
async def open_filled_client(database_factory: DatabaseFactory, dialect: str, name: str) -> AsyncIterator[EngineClient]:
    async with open_client(await database_factory.create(dialect, name)) as client:
        await world.fill(client.db)
        yield client


@pytest.fixture(params=DATABASES, scope="session")
async def client(
    request: pytest.FixtureRequest, anyio_backend: str, database_factory: DatabaseFactory
) -> AsyncIterator[EngineClient]:
    """Return a client of a shared, filled database. Tests must not change it."""
    async with open_filled_client(database_factory, request.param, "world") as client:
        yield client


@pytest.fixture(scope="session")
async def clients(anyio_backend: str, database_factory: DatabaseFactory) -> AsyncIterator[list[EngineClient]]:
    """Return clients of both shared, filled databases. Tests must not change them."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(open_filled_client(database_factory, dialect, "twin"))
            for dialect in DATABASES
        ]


@pytest.fixture
async def empty_client(database_url: str) -> AsyncIterator[EngineClient]:
    """Return a client of an empty database that tests may change."""
    async with open_client(database_url) as client:
        yield client


@pytest.fixture
async def uncached(anyio_backend: str, make_server: Callable[..., Awaitable[Server]]) -> Server:
    """Another server on the same database, without caches."""
    return await make_server(response_cache="off", count_cache="off")
