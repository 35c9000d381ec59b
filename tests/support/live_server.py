"""A server on a socket, in the test's own event loop, so that a test can look inside."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn

from gateway.app import create_app
from gateway.server.http_protocol import HttpProtocol
from gateway.server.websocket_protocol import WebSocketProtocol
from gateway.state import AppState
from models import Database, Role
from resolvers.tokens import Tokens
from tests.support.accounts import Account, sign_up
from tests.support.callers import GraphQL
from tests.support.feeds import Feed, open_feed
from tests.support.servers import SECRET, build_settings
from tests.support.waiting import TEST_TIMEOUT_SECONDS, wait_until


class ServerWithoutSignals(uvicorn.Server):
    """Leaves the signals of the test run alone."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass(frozen=True)
class LiveServer:
    """A server on a socket, and a client of it."""

    gateway: AppState
    db: Database
    server: uvicorn.Server
    address: str
    http: httpx.AsyncClient
    """Keeps no cookies."""

    @property
    def graphql(self) -> GraphQL:
        return GraphQL(self.http)

    async def account(self, name: str = "Somebody", role: Role = Role.USER) -> Account:
        return await sign_up(self.db, Tokens(SECRET), name=name, role=role)

    def feed(self, viewer: Account | None = None, *, headers: dict[str, str] | None = None, **query: Any) -> Any:
        """A follower, for a scope that begins once it is connected."""
        headers = {**(viewer.headers if viewer else {}), **(headers or {})}
        return open_feed(self.http, "/api/events", query, headers)

    async def subscribed(self, count: int = 1) -> None:
        """So many subscriptions have begun, and wait: over a socket nothing tells a client that."""
        await wait_until(lambda: self.gateway.engine.subscriptions.waiting >= count)

    async def hears(self, feed: Feed, *types: str) -> None:
        """Check the types of the next events."""
        assert [await feed.type() for _ in types] == [*types]


@asynccontextmanager
async def open_live_server(database_url: str, **settings: Any) -> AsyncIterator[LiveServer]:
    app = create_app(build_settings(database_url, **{"max_streams_per_viewer": 2000, **settings}))
    options = {"log_config": None, "access_log": False, "proxy_headers": False, "timeout_graceful_shutdown": 2}
    server = ServerWithoutSignals(
        uvicorn.Config(app, port=0, http=HttpProtocol, ws=WebSocketProtocol, loop="none", **options)
    )
    task = asyncio.create_task(server.serve())
    while not server.started:
        assert not task.done(), task.exception()
        await asyncio.sleep(0.01)
    address = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    db = Database(database_url, pool_size=2)
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=address, timeout=TEST_TIMEOUT_SECONDS, limits=limits) as http:
        yield LiveServer(app.state.gateway, db, server, address, http)
    app.state.gateway.streams.drain()
    server.should_exit = True
    await task
    await db.close()
