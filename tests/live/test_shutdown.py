"""Deploys that nobody notices: what a server does when it is told to stop."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.house.processes import started
from tests.live.feeds import following
from tests.support.callers import GraphQL
from tests.support.patience import PATIENCE

pytestmark = pytest.mark.anyio

BODY = b'{"query":"{ __typename }"}'
GRACE = "120s"
"""Longer than a server is waited for: one that ends did not wait for it."""


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=PATIENCE) as client:
        yield client


async def ended(process) -> int:
    return await asyncio.to_thread(process.wait, PATIENCE)


async def under_way(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection over which the server has begun to read a request, of which the body is to come."""
    place = urlsplit(address)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    head = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
    writer.write(head % len(BODY) + b"Expect: 100-continue\r\n\r\n")
    async with asyncio.timeout(PATIENCE):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    return reader, writer


async def stopped(http: httpx.AsyncClient, address: str) -> None:
    """Wait until the server has heeded that it is to stop."""
    with suppress(httpx.TransportError):
        async with asyncio.timeout(PATIENCE):
            while (await http.get(f"{address}/api/health/ready")).is_success:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)


async def test_a_server_that_is_told_to_stop_sends_its_streams_away(
    sqlite_url: str, tmp_path: Path, http: httpx.AsyncClient
) -> None:
    """It is not ready any more, takes no new streams, tells those it has when to come back, and exits with 0."""
    with started(folder=tmp_path, database_url=sqlite_url, SHUTDOWN_GRACE=GRACE) as (process, address, said):
        http.base_url = address
        assert (await http.get("/api/health/ready")).status_code == 200
        async with following(http, "/api/events", {}, {}) as one, following(http, "/api/events", {}, {}) as two:
            process.send_signal(signal.SIGTERM)
            hints = [(await feed.frame()).retry for feed in (one, two)]
            assert all(500 <= hint <= 5000 for hint in hints)
            paths = ("/api/health/ready", "/api/events", "/api/posts")
            ready, refused, read = await asyncio.gather(*(http.get(path) for path in paths))
            assert (ready.status_code, ready.json()["status"]) == (503, "unhealthy")
            assert (refused.status_code, refused.json()["code"]) == (503, "UNAVAILABLE")
            assert int(refused.headers["retry-after"]) >= 1
            assert read.status_code == 200
            assert await one.frame() is None
            assert await two.frame() is None
        assert await ended(process) == 0
        assert "Traceback" not in said.read_text()


async def test_requests_under_way_finish(sqlite_url: str, tmp_path: Path, http: httpx.AsyncClient) -> None:
    """One whose body is still coming is answered."""
    with started(folder=tmp_path, database_url=sqlite_url) as (process, address, _):
        reader, writer = await under_way(address)
        process.send_signal(signal.SIGTERM)
        await stopped(http, address)
        writer.write(BODY)
        async with asyncio.timeout(PATIENCE):
            assert (await reader.read()).endswith(b'{"data":{"__typename":"Query"}}')
        assert await ended(process) == 0


async def test_a_request_that_never_ends_is_cut_off(sqlite_url: str, tmp_path: Path) -> None:
    """When the grace is over; in our own form, so that its client comes again."""
    with started(folder=tmp_path, database_url=sqlite_url, SHUTDOWN_GRACE="3s") as (process, address, _):
        reader, writer = await under_way(address)
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ")
        assert b'"code":"UNAVAILABLE"' in body
        assert await ended(process) == 0
        assert time.monotonic() - begun > 1.5  # of the three, a second is for what there is to do after it
        writer.close()


async def test_several_workers_go_alike(unused_database, tmp_path: Path, http: httpx.AsyncClient) -> None:
    """Whichever has the stream; and whichever has the write, all hear of it."""
    url = await unused_database("postgres")
    with started("--workers", "2", folder=tmp_path, database_url=url) as (process, address, _):
        http.base_url = address
        graphql = GraphQL(http)
        joined = await graphql.register(name="Ann", email="ann@example.com", password="correct horse")
        headers = {"Authorization": f"Bearer {joined['accessToken']}"}
        async with (
            following(http, "/api/events", {}, headers) as one,
            following(http, "/api/events", {}, headers) as two,
            following(http, "/api/events", {}, headers) as three,
        ):
            post = {"title": "A post", "content": "Long enough to be one."}
            assert (await http.post("/api/posts", json=post, headers=headers)).status_code == 201
            assert [await feed.type() for feed in (one, two, three)] == ["post.created"] * 3
            process.send_signal(signal.SIGTERM)
            for feed in (one, two, three):
                assert 500 <= (await feed.frame()).retry <= 5000
                assert await feed.frame() is None
        assert await ended(process) == 0


async def test_an_interrupt_from_the_keyboard_is_quick(
    sqlite_url: str, tmp_path: Path, http: httpx.AsyncClient
) -> None:
    """Nobody who presses Ctrl-C wants to give notice."""
    with started(folder=tmp_path, database_url=sqlite_url, SHUTDOWN_GRACE=GRACE) as (process, address, said):
        http.base_url = address
        async with following(http, "/api/events", {}, {}) as feed:
            process.send_signal(signal.SIGINT)
            assert (await feed.frame()).retry
            assert await feed.frame() is None
        assert await ended(process) == 0
        assert "Traceback" not in said.read_text()
