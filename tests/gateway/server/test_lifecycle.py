"""Starting, stopping, and clients or databases that go away in between."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.app import create_app
from gateway.settings import InvalidSettings
from gateway.tasks.migrations import DatabaseNotMigrated
from models.migrations import downgrade
from tests.support.live_server import LiveServer, open_live_server
from tests.support.proxy import open_postgres_proxy
from tests.support.raw_http import TYPENAME_RESULT, exchange, get, open_raw_connection, post_graphql
from tests.support.servers import open_server
from tests.support.waiting import TEST_TIMEOUT_SECONDS, wait_until

pytestmark = pytest.mark.anyio

START = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
MEBIBYTE = 0x100000


@pytest.fixture
async def live(sqlite_url: str) -> AsyncIterator[LiveServer]:
    async with open_live_server(sqlite_url) as server:
        yield server


async def test_an_invalid_setting_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is opened."""
    monkeypatch.setenv("DATABASE_URL", "oracle://")
    with pytest.raises(InvalidSettings, match="DATABASE_URL"):
        create_app()


async def test_production_does_not_migrate_postgres_by_itself(unused_database) -> None:
    """Other servers may be running on it."""
    url = await unused_database("postgres")
    await downgrade(url, "base")
    with pytest.raises(DatabaseNotMigrated, match="gateway migrate"):
        async with open_server(url, environment="production"):
            pass
    async with open_server(url) as server:
        assert (await server.anonymous.get("/api/posts")).status_code == 200
    async with open_server(url, environment="production") as server:
        assert (await server.anonymous.get("/api/posts")).status_code == 200


async def test_a_body_that_is_too_large_is_rejected_by_its_length_or_as_it_arrives(live: LiveServer) -> None:
    """A `Content-Length` above the limit is enough, and chunks are counted."""
    announced = START + b"Connection: close\r\nContent-Length: 99999999999\r\n\r\n{}"
    assert (await exchange(live.address, announced)).startswith(b"HTTP/1.1 413")
    head = START + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"%x\r\n" % MEBIBYTE + b" " * MEBIBYTE + b"\r\n"
    async with open_raw_connection(live.address) as (reader, writer), asyncio.timeout(TEST_TIMEOUT_SECONDS):
        writer.write(head + chunk + chunk)
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize("path", [b"graphql", b"api/posts", b"api/auth/login"])
async def test_a_client_that_disconnects_leaves_no_traceback(
    live: LiveServer, path: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the middle of a body, or before the response."""
    half = START.replace(b"graphql", path) + b"Content-Length: 50\r\n\r\n{"
    for sent in (half, get(b"/api/posts")):
        async with open_raw_connection(live.address) as (_, writer):
            writer.write(sent)
            await asyncio.sleep(0.1)
            writer.transport.abort()
        await wait_until(lambda: not live.server.server_state.tasks)
    output = capsys.readouterr()
    assert "Traceback" not in output.out + output.err
    assert (await live.http.get("/api/health")).json()["status"] == "healthy"


async def test_a_slow_client_does_not_delay_others(live: LiveServer) -> None:
    """Its body may take its time."""
    request = post_graphql(b"Connection: close")
    head, body = request[:-26], request[-26:]
    async with open_raw_connection(live.address) as (reader, writer), asyncio.timeout(TEST_TIMEOUT_SECONDS):
        writer.write(head)
        for start in range(0, len(body), 2):
            assert (await live.http.get("/api/posts")).status_code == 200
            writer.write(body[start : start + 2])
        assert TYPENAME_RESULT in await reader.read()


async def test_an_unavailable_database_is_reported_until_it_is_back(unused_database) -> None:
    """503 in both protocols, and the health check names the database."""
    url = await unused_database("postgres")
    async with open_postgres_proxy(url) as (proxy, through), open_server(through) as server:
        http = server.anonymous
        assert (await http.get("/api/health")).json()["status"] == "healthy"
        proxy.shut()
        health = await http.get("/api/health")
        assert (health.status_code, health.json()["status"]) == (503, "unhealthy")
        assert health.json()["checks"] == {"database": "error"}
        rest = await http.get("/api/posts")
        assert (rest.status_code, rest.json()["code"]) == (503, "UNAVAILABLE")
        graphql = (await http.post("/graphql", json={"query": "{ tags { id } }"})).json()
        assert graphql["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
        assert (await http.get("/api/health/live")).status_code == 200
        proxy.open()
        async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
            while (await http.get("/api/posts")).status_code != 200:  # noqa: ASYNC110 - nothing sets an event
                await asyncio.sleep(0.1)
        assert (await http.get("/api/health")).json()["status"] == "healthy"
