"""More than a process can do: the surplus is told so at once, and the rest is answered as ever."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text

from tests.support.callers import GraphQL
from tests.support.servers import Server, open_server

pytestmark = pytest.mark.anyio

TAGS = {"query": "{ tags { id } }"}
MOST = 3


@pytest.fixture
async def server(postgres_url: str) -> AsyncIterator[Server]:
    """Works on three requests at once."""
    async with open_server(postgres_url, max_in_flight=MOST) as server:
        yield server


@asynccontextmanager
async def busy(server: Server) -> AsyncIterator[list[asyncio.Task]]:
    """As many requests under way as there may be: they wait for a table that another has locked."""
    async with server.db.engine.connect() as connection:
        await connection.execute(text("lock table tags in access exclusive mode"))
        requests = [asyncio.create_task(server.anonymous.post("/graphql", json=TAGS)) for _ in range(MOST)]
        while server.app.state.gateway.in_flight.count < MOST:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)
        yield requests


async def test_the_surplus_is_turned_away_and_the_rest_is_answered(server: Server) -> None:
    """503 with `Retry-After`, in the form of either protocol; health and metrics answer all the same."""
    http = server.anonymous
    async with busy(server) as requests:
        over_graphql, over_rest = await http.post("/graphql", json=TAGS), await http.get("/api/posts")
        watched = [await http.get(path) for path in ("/api/health/live", "/api/health", "/metrics")]
    for rejected in (over_graphql, over_rest):
        assert (rejected.status_code, rejected.headers["Retry-After"]) == (503, "1")
        assert rejected.headers["X-Request-ID"]
    output = "Too many requests at once; try again"
    error = over_graphql.json()["errors"][0]
    assert (error["message"], error["extensions"]["code"]) == (output, "UNAVAILABLE")
    assert (over_rest.json()["error"], over_rest.json()["code"]) == (output, "UNAVAILABLE")
    assert [response.status_code for response in watched] == [200, 200, 200]
    assert f"dovetail_requests_in_flight {MOST}.0" in watched[-1].text
    assert [(await task).json() for task in requests] == [{"data": {"tags": []}}] * MOST
    assert await GraphQL(http).ask("{ tags { id } }") == {"tags": []}
    assert server.app.state.gateway.in_flight.count == 0


async def test_whoever_is_slow_or_follows_is_no_work(server: Server) -> None:
    """Bodies that have yet to arrive, and streams, leave room for others."""
    ended, waiting = asyncio.Event(), asyncio.Semaphore(0)

    async def body() -> AsyncIterator[bytes]:
        yield b'{"query":'
        waiting.release()
        await ended.wait()
        yield b'"{ __typename }"}'

    headers = {"Content-Type": "application/json"}
    sending = [server.anonymous.post("/graphql", content=body(), headers=headers) for _ in range(2 * MOST)]
    slow = [asyncio.create_task(request) for request in sending]
    for _ in slow:
        await waiting.acquire()
    assert (await server.anonymous.get("/api/posts")).status_code == 200
    ended.set()
    assert {(await task).status_code for task in slow} == {200}
    assert server.app.state.gateway.in_flight.count == 0
