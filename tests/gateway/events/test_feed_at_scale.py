"""Many followers, and slow ones."""

import asyncio
import json
import re
import resource
import socket
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import pytest
from sqlalchemy import insert, text

from models import Event, utcnow
from tests.support.live_server import LiveServer
from tests.support.subscribers import open_socket
from tests.support.waiting import TEST_TIMEOUT_SECONDS, wait_until
from tests.support.writing import CONTENT

pytestmark = pytest.mark.anyio

POST = {"title": "A post", "content": CONTENT, "status": "PUBLISHED"}
SLOW, MANY = 40, 20_000
ASK = b"GET /api/events HTTP/1.1\r\nHost: gateway.test\r\n\r\n"
SUBSCRIPTION = "subscription { postEvents { type } }"
BODY = json.dumps({"query": SUBSCRIPTION}).encode()
SUBSCRIBE = (
    b"POST /graphql HTTP/1.1\r\nHost: gateway.test\r\nAccept: text/event-stream\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
)


class Ear(asyncio.Protocol):
    """A client that counts what it hears."""

    def __init__(self, ask: bytes = ASK) -> None:
        self.ask, self.heard = ask, b""

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        transport.write(self.ask)

    def data_received(self, data: bytes) -> None:
        self.heard += data

    @property
    def ids(self) -> list[int]:
        return [int(id) for id in re.findall(rb'id: (\d+)\ndata: {"id"', self.heard)]

    @property
    def is_connected(self) -> bool:
        return (b'"connected"' if self.ask is ASK else b"id: ") in self.heard


async def ears(live: LiveServer, count: int, ask: bytes = ASK) -> list[Ear]:
    """That many streams, open."""
    loop, place = asyncio.get_running_loop(), urlsplit(live.address)
    found: list[Ear] = []
    while len(found) < count:
        opening = (
            loop.create_connection(lambda: Ear(ask), place.hostname, place.port)
            for _ in range(min(50, count - len(found)))
        )
        found += [ear for _, ear in await asyncio.gather(*opening)]
        await wait_until(lambda: all(ear.is_connected for ear in found))  # noqa: B023 - it is over before the next turn
    return found


async def test_streams_hold_no_database_connection(unused_database, make_live_server) -> None:
    """A thousand of all transports that wait, and hear, need no more connections than none; the gauges say so."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8192)), hard))
    live = await make_live_server(await unused_database("postgres"))
    author = await live.account()
    post = await live.graphql.create(author, **POST)
    before = await connections(live)
    async with AsyncExitStack() as stack:
        streams = await ears(live, 800) + await ears(live, 100, SUBSCRIBE)
        sockets = [await stack.enter_async_context(open_socket(live.address)) for _ in range(100)]
        ids = [await each.subscribe(SUBSCRIPTION) for each in sockets]
        await live.subscribed(200)
        expected = {"streams_open": 1000, "log_position": 2, "database_connections_in_use": 0}
        measured = await gauges(live)
        assert {name: measured[name] for name in expected} == expected
        await live.graphql.like(author, post["id"])
        result = [await each.next_value(id) for each, id in zip(sockets, ids, strict=True)]
        assert result == [{"type": "LIKED"}] * 100
        await wait_until(lambda: all(b"post.liked" in ear.heard or b"LIKED" in ear.heard for ear in streams))
        assert await connections(live) <= before + 2, "one for the log, one for the like"
        for ear in streams:
            ear.transport.close()
    await wait_until(lambda: live.gateway.streams.count == 0)
    assert not live.gateway.broadcaster.subscribers
    assert not live.gateway.session_monitor.sessions


async def connections(live: LiveServer) -> int:
    """How many the database counts, whoever holds them."""
    async with live.db.reading() as session:
        counted = "select count(*) from pg_stat_activity where datname = current_database()"
        return await session.scalar(text(counted))


async def gauges(live: LiveServer) -> dict[str, float]:
    async with httpx.AsyncClient(base_url=live.address, timeout=TEST_TIMEOUT_SECONDS) as http:
        response = await http.get("/metrics")
    assert response.headers["Content-Type"].startswith("text/plain")
    return {name: float(value) for name, value in re.findall(r"^dovetail_(\w+) (\S+)$", response.text, re.M)}


async def test_slow_readers_are_disconnected_without_delaying_others(
    live: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What they have not read waits in the log and not in memory; they resume by their cursors."""
    monkeypatch.setattr("gateway.http.eager_send.SEND_TIMEOUT_SECONDS", 1.0)
    monkeypatch.setattr("gateway.events.broadcaster.HEARTBEAT_INTERVAL_SECONDS", 0.5)
    author = await live.account()
    post = UUID((await live.graphql.create(author, **POST))["id"])
    place = urlsplit(live.address)
    slow = [deaf(place.hostname, place.port) for _ in range(SLOW)]
    (quick,) = await ears(live, 1)
    await wait_until(lambda: live.gateway.streams.count == SLOW + 1)
    before = memory()
    for _ in range(MANY // 2000):
        async with live.db.writing() as session:
            await session.execute(insert(Event), [fact(post) for _ in range(2000)])
        live.gateway.log.wake()
        await asyncio.sleep(0.05)
    await wait_until(lambda: len(quick.ids) == MANY)
    assert quick.ids == list(range(quick.ids[0], quick.ids[0] + MANY))
    assert memory() - before < SLOW * MANY * 200 / 2, "half of what they were sent and did not take"
    await wait_until(lambda: live.gateway.streams.count == 1)
    for connection in slow:
        connection.close()
    log = live.gateway.log
    async with live.feed(since=log.position - 3) as feed:
        assert await feed.ids(3) == quick.ids[-3:]


def deaf(host: str | None, port: int | None) -> socket.socket:
    """A client that asks, and then reads nothing."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect((host, port))
    connection.sendall(ASK)
    return connection


def fact(post: UUID) -> dict[str, object]:
    return {
        "type": "post.liked",
        "entity_id": post,
        "post_id": post,
        "hides": False,
        "was_public": True,
        "at": utcnow(),
    }


def memory() -> int:
    """Bytes that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
