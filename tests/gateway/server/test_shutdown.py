"""Graceful shutdown: streams end and reconnect elsewhere, running requests finish."""

import asyncio
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.support.callers import GraphQL
from tests.support.feeds import open_feed
from tests.support.processes import start_gateway
from tests.support.raw_http import TYPENAME_QUERY, TYPENAME_RESULT, open_raw_connection, post_graphql
from tests.support.waiting import TEST_TIMEOUT_SECONDS

pytestmark = pytest.mark.anyio

LONG_GRACE = "120s"
"""Longer than the tests wait for the server to exit, so that one that exits did not use it up."""


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=TEST_TIMEOUT_SECONDS) as client:
        yield client


async def wait_for_exit(process: subprocess.Popen) -> int:
    return await asyncio.to_thread(process.wait, TEST_TIMEOUT_SECONDS)


async def begin_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send a request without its body, and wait until the server asks for the body."""
    writer.write(post_graphql(b"Expect: 100-continue").removesuffix(TYPENAME_QUERY))
    async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"


async def wait_until_draining(http: httpx.AsyncClient, address: str) -> None:
    with suppress(httpx.TransportError):
        async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
            while (await http.get(f"{address}/api/health/ready")).is_success:  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0.01)


async def test_sigterm_ends_streams_and_then_the_server(
    sqlite_url: str, tmp_path: Path, http: httpx.AsyncClient
) -> None:
    """It is not ready, opens no new streams, sends each stream a reconnection delay, and exits with 0."""
    with start_gateway(folder=tmp_path, database_url=sqlite_url, SHUTDOWN_GRACE=LONG_GRACE) as (process, address, log):
        http.base_url = address
        assert (await http.get("/api/health/ready")).status_code == 200
        async with open_feed(http, "/api/events", {}, {}) as one, open_feed(http, "/api/events", {}, {}) as two:
            process.send_signal(signal.SIGTERM)
            delays = [(await feed.frame()).retry for feed in (one, two)]
            assert all(500 <= delay <= 5000 for delay in delays)
            paths = ("/api/health/ready", "/api/events", "/api/posts")
            ready, rejected, read = await asyncio.gather(*(http.get(path) for path in paths))
            assert (ready.status_code, ready.json()["status"]) == (503, "unhealthy")
            assert (rejected.status_code, rejected.json()["code"]) == (503, "UNAVAILABLE")
            assert int(rejected.headers["retry-after"]) >= 1
            assert read.status_code == 200
            assert await one.frame() is None
            assert await two.frame() is None
        assert await wait_for_exit(process) == 0
        assert "Traceback" not in log.read_text()


async def test_running_requests_finish(sqlite_url: str, tmp_path: Path, http: httpx.AsyncClient) -> None:
    """Even one whose body is still to come."""
    with start_gateway(folder=tmp_path, database_url=sqlite_url) as (process, address, _):
        async with open_raw_connection(address) as (reader, writer):
            await begin_request(reader, writer)
            process.send_signal(signal.SIGTERM)
            await wait_until_draining(http, address)
            writer.write(TYPENAME_QUERY)
            async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
                assert (await reader.read()).endswith(TYPENAME_RESULT)
        assert await wait_for_exit(process) == 0


async def test_a_request_that_does_not_end_is_cancelled_after_the_grace_period(sqlite_url: str, tmp_path: Path) -> None:
    """With a 503 in the usual form, so that its client tries again."""
    with start_gateway(folder=tmp_path, database_url=sqlite_url, SHUTDOWN_GRACE="3s") as (process, address, log):
        async with open_raw_connection(address) as (reader, writer):
            await begin_request(reader, writer)
            begun = time.monotonic()
            process.send_signal(signal.SIGTERM)
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 503 ")
            assert b'"code":"UNAVAILABLE"' in body
            assert await wait_for_exit(process) == 0
            assert time.monotonic() - begun > 1.5  # one of the three seconds is reserved for closing connections
        assert "Traceback" not in log.read_text()


async def test_all_workers_end_their_streams(unused_database, tmp_path: Path, http: httpx.AsyncClient) -> None:
    """All streams get an event, whichever worker has the stream and whichever has the write."""
    url = await unused_database("postgres")
    with start_gateway("--workers", "2", folder=tmp_path, database_url=url) as (process, address, _):
        http.base_url = address
        account = await GraphQL(http).register(name="Ann", email="ann@example.com", password="correct horse")
        headers = {"Authorization": f"Bearer {account['accessToken']}"}
        async with (
            open_feed(http, "/api/events", {}, headers) as one,
            open_feed(http, "/api/events", {}, headers) as two,
            open_feed(http, "/api/events", {}, headers) as three,
        ):
            post = {"title": "A post", "content": "Long enough to be one."}
            assert (await http.post("/api/posts", json=post, headers=headers)).status_code == 201
            assert [await feed.type() for feed in (one, two, three)] == ["post.created"] * 3
            process.send_signal(signal.SIGTERM)
            for feed in (one, two, three):
                assert 500 <= (await feed.frame()).retry <= 5000
                assert await feed.frame() is None
        assert await wait_for_exit(process) == 0


async def test_ctrl_c_ends_streams_and_the_server_at_once(
    sqlite_url: str, tmp_path: Path, http: httpx.AsyncClient
) -> None:
    with start_gateway(folder=tmp_path, database_url=sqlite_url, SHUTDOWN_GRACE=LONG_GRACE) as (process, address, log):
        http.base_url = address
        async with open_feed(http, "/api/events", {}, {}) as feed:
            process.send_signal(signal.SIGINT)
            assert (await feed.frame()).retry
            assert await feed.frame() is None
        assert await wait_for_exit(process) == 0
        assert "Traceback" not in log.read_text()
