"""Starting, stopping, and what happens when something goes away in between."""

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn

from gateway.app import create_app
from gateway.cli.migrations import Behind
from gateway.settings import WrongSettings
from models.migrations import downgrade
from tests.support.patience import PATIENCE
from tests.support.servers import serving, settings_for
from tests.support.wires import wired_postgres

pytestmark = pytest.mark.anyio


@contextmanager
def listening(database_url: str, **changes: object) -> Iterator[str]:
    """A server on a socket, in a thread of its own."""
    app = create_app(settings_for(database_url, **changes))
    config = uvicorn.Config(app, port=0, access_log=False, log_config=None, proxy_headers=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture
async def socket_server(sqlite_url: str) -> AsyncIterator[str]:
    with listening(sqlite_url) as address:
        yield address


def say(address: str, *pieces: bytes, wait: float = 0.05) -> bytes:
    """What a server answers to bytes sent as they are."""
    place = urlsplit(address)
    with socket.create_connection((place.hostname, place.port), timeout=5) as connection:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(wait)
        return connection.recv(65536)


async def test_a_wrong_setting_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is opened."""
    monkeypatch.setenv("DATABASE_URL", "oracle://")
    with pytest.raises(WrongSettings, match="DATABASE_URL"):
        create_app()


async def test_production_does_not_migrate_postgres_by_itself(unused_database) -> None:
    """Other servers may be running on it."""
    url = await unused_database("postgres")
    await downgrade(url, "base")
    with pytest.raises(Behind, match="gateway migrate"):
        async with serving(url, environment="production"):
            pass
    async with serving(url) as server:
        assert (await server.anonymous.get("/api/posts")).status_code == 200
    async with serving(url, environment="production") as server:
        assert (await server.anonymous.get("/api/posts")).status_code == 200


async def test_a_length_that_lies_changes_nothing(socket_server: str) -> None:
    """Chunks are counted, and what was announced is believed when it is too much."""
    start = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    announced = start + b"Content-Length: 99999999999\r\n\r\n{}"
    assert (await asyncio.to_thread(say, socket_server, announced)).startswith(b"HTTP/1.1 413")
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    chunked = await asyncio.to_thread(say, socket_server, start + b"Transfer-Encoding: chunked\r\n\r\n", chunk, chunk)
    assert chunked.startswith(b"HTTP/1.1 413")


async def test_clients_that_vanish_leave_no_traceback(socket_server: str, capsys: pytest.CaptureFixture) -> None:
    """In the middle of a body, or before the answer."""
    start = b"POST /%b HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{"
    place = urlsplit(socket_server)
    for path in (b"graphql", b"api/posts", b"api/auth/login"):
        with socket.create_connection((place.hostname, place.port)) as connection:
            connection.sendall(start % path)
            await asyncio.sleep(0.1)
    with socket.create_connection((place.hostname, place.port)) as connection:
        connection.sendall(b"GET /api/posts HTTP/1.1\r\nHost: x\r\n\r\n")
    await asyncio.sleep(0.3)
    said = capsys.readouterr()
    assert "Traceback" not in said.out + said.err
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"{socket_server}/api/health")).json()["status"] == "healthy"


async def test_a_slow_client_keeps_nobody_waiting(socket_server: str) -> None:
    """Its body may take its time; others are answered meanwhile."""
    start = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 24\r\n\r\n"
    slow = asyncio.create_task(
        asyncio.to_thread(say, socket_server, start, *(b'{"query":"{__typename}"}'[n : n + 2] for n in range(0, 24, 2)))
    )
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"{socket_server}/api/posts")).status_code == 200
    assert b'{"data":{"__typename":"Query"}}' in await slow


async def test_a_database_that_goes_away_is_said_to_be_away(unused_database) -> None:
    """503 in both protocols, and the health check says which part it is; then all is well again."""
    url = await unused_database("postgres")
    async with wired_postgres(url) as (wire, through), serving(through) as server:
        http = server.anonymous
        assert (await http.get("/api/health")).json()["status"] == "healthy"
        wire.shut()
        health = await http.get("/api/health")
        assert (health.status_code, health.json()["status"]) == (503, "unhealthy")
        assert health.json()["checks"] == {"database": "error"}
        rest = await http.get("/api/posts")
        assert (rest.status_code, rest.json()["code"]) == (503, "UNAVAILABLE")
        over_graphql = (await http.post("/graphql", json={"query": "{ tags { id } }"})).json()
        assert over_graphql["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
        assert (await http.get("/api/health/live")).status_code == 200
        wire.open()
        async with asyncio.timeout(PATIENCE):
            while (await http.get("/api/posts")).status_code != 200:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.1)
        assert (await http.get("/api/health")).json()["status"] == "healthy"
