"""Attacks on the connection itself: ambiguous requests, requests without end, and clients that do not read."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.middleware import body_limit
from gateway.server import timeouts
from tests.support.accounts import Account
from tests.support.live_server import LiveServer, open_live_server
from tests.support.raw_http import (
    TYPENAME_QUERY,
    TYPENAME_RESULT,
    exchange,
    open_raw_connection,
    parse_statuses,
    read_until_closed,
)
from tests.support.subscribers import open_socket
from tests.support.waiting import TEST_TIMEOUT_SECONDS, wait_until
from tests.support.writing import CONTENT

pytestmark = pytest.mark.anyio

START = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
BODY = TYPENAME_QUERY
LAST = b"GET /api/health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
GET_POSTS = b"GET /api/posts HTTP/1.1\r\nHost: x\r\n\r\n"

INVALID_REQUESTS = {
    "two lengths": START + b"Content-Length: 26\r\nContent-Length: 5\r\n\r\n" + BODY,
    "a length and chunks": START
    + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n1a\r\n" + BODY + b"\r\n0\r\n\r\n" + GET_POSTS,
    "chunks and a length": START
    + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n1a\r\n" + BODY + b"\r\n0\r\n\r\n" + GET_POSTS,
    "an unknown transfer coding": START + b"Transfer-Encoding: xchunked\r\n\r\n1a\r\n" + BODY + b"\r\n0\r\n\r\n",
    "chunked, identity": START + b"Transfer-Encoding: chunked, identity\r\n\r\n1a\r\n" + BODY + b"\r\n0\r\n\r\n",
    "gzip, chunked": START + b"Transfer-Encoding: gzip, chunked\r\n\r\n1a\r\n" + BODY + b"\r\n0\r\n\r\n" + GET_POSTS,
    "gzip and chunked in two headers": START
    + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n1a\r\n" + BODY + b"\r\n0\r\n\r\n" + GET_POSTS,
    "chunks in HTTP/1.0": START.replace(b"HTTP/1.1", b"HTTP/1.0")
    + b"Transfer-Encoding: chunked\r\n\r\n1a\r\n" + BODY + b"\r\n0\r\n\r\n",
    "a length with a sign": START + b"Content-Length: +26\r\n\r\n" + BODY,
    "a negative length": START + b"Content-Length: -1\r\n\r\n" + BODY,
    "a hexadecimal length": START + b"Content-Length: 0x1a\r\n\r\n" + BODY,
    "a chunk size that is no number": START + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + BODY + b"\r\n0\r\n\r\n",
    "a chunk size that overflows": START + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 17 + b"\r\n" + BODY,
    "a folded header": START + b"X-A: b\r\n c: d\r\nContent-Length: 26\r\n\r\n" + BODY,
    "a space before the colon": START + b"Content-Length : 26\r\n\r\n" + BODY,
    "a header with NUL": START + b"X-A: b\x00c\r\nContent-Length: 26\r\n\r\n" + BODY,
    "a line that ends with CR alone": b"GET / HTTP/1.1\rHost: x\r\r",
    "no host": b"GET /api/posts HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /api/posts HTTP/1.1\r\nHost: x\r\nhost: y\r\n\r\n",
    "an invalid host": b"GET /api/posts HTTP/1.1\r\nHost: a b/c@d\r\n\r\n",
    "a host with a path": b"GET /api/posts HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "a host with a user": b"GET /api/posts HTTP/1.1\r\nHost: a@b\r\n\r\n",
    "an invalid port": b"GET /api/posts HTTP/1.1\r\nHost: a:b\r\n\r\n",
    "several hosts in one header": b"GET /api/posts HTTP/1.0\r\nHost: a, b\r\n\r\n",
    "a WebSocket handshake by POST": START
    + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nContent-Length: 26\r\n\r\n" + BODY,
    "an endless chunk extension": START + b"Transfer-Encoding: chunked\r\n\r\n1a;" + b"a" * 70_000,
    "endless trailers": START
    + b"Transfer-Encoding: chunked\r\n\r\n1a\r\n" + BODY + b"\r\n0\r\n" + b"a:\r\n" * 10_000,
    "an endless trailer": START
    + b"Transfer-Encoding: chunked\r\n\r\n1a\r\n" + BODY + b"\r\n0\r\na: " + b"b" * 70_000,
    "CONNECT": b"CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n" + GET_POSTS,
    "a TLS handshake": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 50 + b"\r\n\r\n",
    "an invalid method": b"G\x00T / HTTP/1.1\r\nHost: x\r\n\r\n",
    "an endless header": START + b"X-A: " + b"a" * 70_000,
    "too many headers": START + b"".join(b"X-%d: a\r\n" % n for n in range(20_000)),
    "an endless path": b"GET /" + b"a" * 70_000,
}  # fmt: skip


@pytest.fixture
async def live(sqlite_url: str) -> AsyncIterator[LiveServer]:
    async with open_live_server(sqlite_url) as server:
        yield server


def count_tasks(live: LiveServer) -> int:
    """Return the number of requests that the server is working on."""
    return len(live.server.server_state.tasks)


@pytest.mark.parametrize("name", INVALID_REQUESTS)
async def test_an_ambiguous_or_endless_request_is_rejected(live: LiveServer, name: str) -> None:
    """One 400, and the connection is closed: nothing that follows is taken for a request."""
    received = await exchange(live.address, INVALID_REQUESTS[name])
    assert received.startswith(b"HTTP/1.1 400")
    assert received.count(b"HTTP/1.1 ") == 1
    assert (await live.http.get("/api/health")).json()["status"] == "healthy"


@pytest.mark.parametrize("name", INVALID_REQUESTS)
async def test_requests_before_an_invalid_one_are_answered_first(live: LiveServer, name: str) -> None:
    """Then comes the 400, and nothing that follows is taken for a request."""
    received = await exchange(live.address, GET_POSTS + GET_POSTS + INVALID_REQUESTS[name] + GET_POSTS)
    assert parse_statuses(received) == [200, 200, 400]


async def test_bytes_after_a_request_with_connection_close_are_ignored(live: LiveServer) -> None:
    """RFC 9112, 9.6. They may be another request, or nonsense."""
    for rest in (GET_POSTS, INVALID_REQUESTS["a TLS handshake"]):
        assert parse_statuses(await exchange(live.address, GET_POSTS + LAST + rest, rest)) == [200, 200]


async def test_a_websocket_handshake_must_wait_for_the_response_before_it(live: LiveServer) -> None:
    """Otherwise that response would be sent among the frames."""
    upgrade = (
        b"GET /graphql HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        b"Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
    )
    assert parse_statuses(await exchange(live.address, GET_POSTS + upgrade)) == [200, 400]


async def test_chunk_extensions_are_ignored(live: LiveServer) -> None:
    chunks = b'1a;a=b;c="d"\r\n' + BODY + b"\r\n0;e\r\nX-Trailer: f\r\n\r\n"
    headers = b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert TYPENAME_RESULT in await exchange(live.address, START + headers + chunks)


CHUNKED = START + b"Transfer-Encoding: chunked\r\n\r\n1a\r\n" + BODY + b"\r\n0\r\n"


async def test_white_space_after_a_header_value_is_not_part_of_it(live: LiveServer) -> None:
    received = await exchange(live.address, CHUNKED.replace(b"chunked", b"Chunked ") + b"\r\n" + LAST)
    assert parse_statuses(received) == [200, 200]


async def test_trailers_are_not_taken_for_headers(live: LiveServer) -> None:
    """With any name. None of them is left for the next request."""
    trailers = b"X-Request-ID: trailing-one\r\nAuthorization: Bearer nonsense\r\nX-Empty:\r\n\r\n"
    received = await exchange(live.address, CHUNKED + trailers + LAST)
    assert received.count(b"HTTP/1.1 200") == 2
    assert TYPENAME_RESULT in received
    assert b"trailing-one" not in received


@pytest.mark.parametrize(
    "host",
    [b"", b"x", b"x \t", b"x:", b"x:80", b"a_b.example.", b"[::1]:8000", b"127.0.0.1:1", b"xn--4ca.example", b"%C3%A4"],
)
async def test_every_valid_host_is_accepted(live: LiveServer, host: bytes) -> None:
    assert parse_statuses(await exchange(live.address, LAST.replace(b"Host: x", b"Host: " + host))) == [200]


UNSUPPORTED_UPGRADES = {
    "h2c": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
    "unknown protocol": b"Connection: upgrade\r\nUpgrade: foo/2\r\nX-Empty:\r\n",
    "two Connection headers": b"Connection: upgrade\r\nUpgrade: websocket\r\nConnection: keep-alive\r\n",
}
FRAMED_BODIES = {
    "Content-Length": b"Content-Length: 26\r\n\r\n" + BODY,
    "chunks": b"Transfer-Encoding: chunked\r\n\r\n1a\r\n" + BODY + b"\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("framing", FRAMED_BODIES)
@pytest.mark.parametrize("upgrade", UNSUPPORTED_UPGRADES)
@pytest.mark.parametrize("size", [1, 100_000], ids=["byte by byte", "at once"])
async def test_an_unsupported_upgrade_is_ignored(live: LiveServer, upgrade: str, framing: str, size: int) -> None:
    """It changes nothing, least of all where the request ends."""
    sent = START + UNSUPPORTED_UPGRADES[upgrade] + FRAMED_BODIES[framing] + LAST
    received = await exchange(live.address, *[sent[start : start + size] for start in range(0, len(sent), size)])
    assert received.count(b"HTTP/1.1 200") == received.count(b"HTTP/1.1 ") == 2
    assert TYPENAME_RESULT in received


async def test_a_body_after_an_unsupported_upgrade_is_not_taken_for_a_request(live: LiveServer) -> None:
    head = START + b"Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: %d\r\n\r\n" % len(GET_POSTS)
    received = await exchange(live.address, head, GET_POSTS, LAST)
    assert received.startswith(b"HTTP/1.1 400")  # the body is no JSON
    assert received.count(b"HTTP/1.1 ") == 2
    assert b"data" not in received


async def test_trailers_are_bounded_after_an_early_response_too(live: LiveServer) -> None:
    """The rest of such a body is discarded, and its end is not waited for."""
    async with open_raw_connection(live.address) as (reader, writer):
        writer.write(START.replace(b"graphql", b"api/posts") + b"Transfer-Encoding: chunked\r\n\r\n")
        assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 401")
        writer.write(b"1a\r\n" + BODY + b"\r\n0\r\n" + b"a: b\r\n" * 10_000)
        assert await read_until_closed(reader) == b""


@pytest.mark.parametrize("cut", [0, 1, 40])
async def test_the_limit_on_heads_does_not_count_the_body_before(live: LiveServer, cut: int) -> None:
    """They may arrive in one piece."""
    body = BODY.ljust(100_000)
    sent = START + b"Content-Length: %d\r\n\r\n" % len(body) + body
    assert parse_statuses(await exchange(live.address, sent + LAST[:cut], LAST[cut:])) == [200, 200]


async def test_few_pipelined_requests_are_in_memory_at_a_time(live: LiveServer) -> None:
    """They are answered in order. However many a client sends, the server parses a few and stops reading."""
    count, longest_queue, received = 3000, 0, b""
    ids = [b"request-%d" % n for n in range(count)]
    requests = [b"GET /api/health/live HTTP/1.1\r\nHost: x\r\nX-Request-ID: %b\r\n\r\n" % id for id in ids]
    async with open_raw_connection(live.address) as (reader, writer), asyncio.timeout(TEST_TIMEOUT_SECONDS):
        writer.write(b"".join(requests) + LAST)
        while chunk := await reader.read(4096):
            received += chunk
            queues = [len(connection.queue) for connection in live.server.server_state.connections]
            longest_queue = max([longest_queue, *queues])
    assert [line[14:] for line in received.split(b"\r\n") if line.startswith(b"x-request-id: request-")] == ids
    assert 0 < longest_queue < 100


async def test_a_stream_ends_when_its_client_leaves_with_a_request_in_the_queue(live: LiveServer) -> None:
    """The active request gets `http.disconnect`, not only the one that arrived last."""
    async with open_raw_connection(live.address) as (_, writer):
        writer.write(b"GET /api/events HTTP/1.1\r\nHost: x\r\n\r\n" + GET_POSTS)
        await wait_until(lambda: live.gateway.streams.count == 1)
        writer.transport.abort()
    (connection,) = live.server.server_state.connections
    connection.transport.abort()  # as it will be when something is written to it
    await wait_until(lambda: live.gateway.streams.count == 0)


async def test_all_bodies_together_are_bounded(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is below the limit for one. A request for which there is no memory gets 503, and the others go on."""
    monkeypatch.setattr(body_limit, "MAX_BUFFERED_BODIES", 2)
    head = START + b"Connection: close\r\nContent-Length: 900\r\n\r\n"
    async with (
        open_live_server(sqlite_url, max_body_bytes=1000) as live,
        open_raw_connection(live.address) as one,
        open_raw_connection(live.address) as two,
    ):
        for _, writer in (one, two):
            writer.write(head + b" " * 800)
        rejected = b""
        async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
            while b"503" not in rejected:  # until what the others sent has been read
                rejected = await exchange(live.address, head + b" " * 800 + BODY.ljust(100))
        assert b"Retry-After: 1" in rejected.title()
        for reader, writer in (one, two):
            writer.write(BODY.ljust(100))
            assert TYPENAME_RESULT in await reader.read()
        assert TYPENAME_RESULT in await exchange(live.address, head + BODY.ljust(900))


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /api/po",
        START,
        START + b"Content-Length: 26\r\n\r\n" + BODY[:9],
        START + b"Transfer-Encoding: chunked\r\n\r\n5",
    ],
    ids=["nothing", "half a line", "half a head", "half a body", "half a chunk"],
)  # fmt: skip
async def test_an_incomplete_request_times_out(live: LiveServer, sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeouts, "IDLE_TIMEOUT_SECONDS", 0.3)
    async with open_raw_connection(live.address) as (reader, writer):
        writer.write(sent)
        assert await read_until_closed(reader) == b""


EXPECT = b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n"


@pytest.mark.parametrize(
    ("line", "length", "status"), [(START, 99_999_999, 413), (START.replace(b"graphql", b"api/posts"), 26, 401)]
)
async def test_a_rejected_request_that_expects_100_continue_closes_its_connection(
    live: LiveServer, line: bytes, length: int, status: int
) -> None:
    """Its body could not be distinguished from the next request."""
    received = await exchange(live.address, line + EXPECT % length)
    assert parse_statuses(received) == [status]
    assert received.lower().count(b"connection: ") == received.count(b"connection: close") == 1


async def test_a_request_that_got_100_continue_keeps_its_connection(live: LiveServer) -> None:
    async with open_raw_connection(live.address) as (reader, writer), asyncio.timeout(TEST_TIMEOUT_SECONDS):
        writer.write(START + EXPECT % len(BODY))
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(BODY)
        assert b"connection: close" not in await reader.readuntil(b"}}")
        writer.write(LAST)
        assert parse_statuses(await reader.read()) == [200]


async def test_a_stream_in_http_1_0_has_no_chunks(live: LiveServer) -> None:
    """It ends with its connection, and has only one `Connection` header."""
    async with open_raw_connection(live.address) as (reader, writer), asyncio.timeout(TEST_TIMEOUT_SECONDS):
        writer.write(b"GET /api/events HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        first = await reader.readuntil(b"\n\n")
        assert b"transfer-encoding" not in head
        assert head.count(b"\r\nconnection:") == head.count(b"\r\nconnection: close\r\n") == 1
        assert first.startswith((b"id: ", b"data: ", b"event: "))
        post = await live.graphql.create(await live.account(), title="A post", content=CONTENT, status="PUBLISHED")
        assert post["id"].encode() in await reader.readuntil(b"\n\n")
        live.gateway.streams.drain()
        assert not (await reader.read()).endswith(b"0\r\n\r\n")


async def test_a_subscription_in_http_1_0_has_no_chunks(live: LiveServer) -> None:
    """Its frames are sent through the middleware, unlike those of the event feed."""
    query = b'{"query":"subscription { postEvents { __typename } }"}'
    head = START.replace(b"HTTP/1.1", b"HTTP/1.0") + b"Accept: text/event-stream\r\nContent-Length: %d\r\n\r\n"
    async with open_raw_connection(live.address) as (reader, writer), asyncio.timeout(TEST_TIMEOUT_SECONDS):
        writer.write(head % len(query) + query)
        assert b"transfer-encoding" not in (await reader.readuntil(b"\r\n\r\n")).lower()
        await live.subscribed()
        await live.graphql.create(await live.account(), title="A post", content=CONTENT, status="PUBLISHED")
        frames = b""
        while b"__typename" not in frames:
            frames += await reader.readuntil(b"\n\n")
    assert frames.startswith((b"event: ", b"data: ", b":", b"id: "))


@pytest.mark.parametrize(
    "chunks",
    [(GET_POSTS, b"\r\n"), (START.replace(b"graphql", b"api/posts") + b"Content-Length: 26\r\n\r\n", BODY)],
    ids=["an empty line", "the body of a rejected request"],
)  # fmt: skip
async def test_an_idle_connection_times_out(live: LiveServer, chunks: tuple[bytes, bytes]) -> None:
    """Though bytes came since the last response that begin no request."""
    live.server.config.timeout_keep_alive = 1
    async with open_raw_connection(live.address) as (reader, writer), asyncio.timeout(TEST_TIMEOUT_SECONDS):
        writer.write(chunks[0])
        await reader.readuntil(b"\r\n\r\n")
        await wait_until(lambda: count_tasks(live) == 0)
        writer.write(chunks[1])
        await reader.read()


async def test_a_slow_sender_that_makes_progress_does_not_time_out(
    live: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeouts, "IDLE_TIMEOUT_SECONDS", 0.05)
    monkeypatch.setattr(timeouts, "MIN_PROGRESS_BYTES", 10)
    checks, check = [], timeouts.IdleTimeout.check
    monkeypatch.setattr(timeouts.IdleTimeout, "check", lambda self: (checks.append(self), check(self)))
    head = START + b"Connection: close\r\nContent-Length: 200\r\n\r\n"
    async with open_raw_connection(live.address) as (reader, writer):
        for number, chunk in enumerate((head + b" " * 20, *[b" " * 20] * 5)):
            writer.write(chunk)
            await wait_until(lambda: len(checks) > number)  # noqa: B023 - it is called before the next iteration
        writer.write(BODY.ljust(80))
        assert TYPENAME_RESULT in await reader.read()


async def test_a_client_that_does_not_read_is_disconnected(live: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """With it end the requests that wait for it."""
    monkeypatch.setattr(timeouts, "IDLE_TIMEOUT_SECONDS", 0.5)
    author: Account = await live.account()
    for n in range(30):
        post = {"title": f"Long {n}", "content": CONTENT + "x" * 99_000, "status": "PUBLISHED"}
        assert isinstance(await live.graphql.create(author, **post), dict)
    query = b'{"query":"{ posts(first: 30) { nodes { a: content b: content c: content } } }"}'
    async with open_raw_connection(live.address, limit=1) as (_, writer):
        for _ in range(3):
            writer.write(START + b"Content-Length: %d\r\n\r\n" % len(query) + query)
        await wait_until(lambda: count_tasks(live) == 1)
        await wait_until(lambda: count_tasks(live) == 0)


async def test_an_idle_websocket_does_not_time_out(live: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be silent for longer than a request may take."""
    monkeypatch.setattr(timeouts, "IDLE_TIMEOUT_SECONDS", 0.2)
    async with open_socket(live.address) as client:
        await asyncio.sleep(0.6)
        assert await client.execute("{ __typename }") == "Query"


async def test_a_websocket_without_connection_init_is_closed(sqlite_url: str) -> None:
    """With 4408, and until then it counts for no caller's limit on streams."""
    async with open_live_server(sqlite_url, graphql_init_timeout="0.3s") as live:
        clients = [open_socket(live.address, init=False) for _ in range(20)]
        opened = [await client.__aenter__() for client in clients]
        assert live.gateway.streams.count == 0
        for client in opened:
            async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
                await client.connection.wait_closed()
            assert client.connection.close_code == 4408
        for client in clients:
            await client.__aexit__(None, None, None)
