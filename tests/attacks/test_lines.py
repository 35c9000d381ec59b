"""What comes over a connection byte by byte: requests that are two, that never end, or whose answer nobody takes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from gateway.http.middleware import request_state
from gateway.server import timeouts
from tests.live.listening import Listening, listening
from tests.live.subscribers import socket
from tests.support.accounts import Account
from tests.support.patience import PATIENCE, until
from tests.support.writing import CONTENT

pytestmark = pytest.mark.anyio

START = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
BODY = b'{"query":"{ __typename }"}'
LAST = b"GET /api/health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
HIDDEN = b"GET /api/posts HTTP/1.1\r\nHost: x\r\n\r\n"

REFUSED = {
    "two lengths": START + b"Content-Length: 26\r\nContent-Length: 5\r\n\r\n" + BODY,
    "a length and chunks": START
    + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n1a\r\n" + BODY + b"\r\n0\r\n\r\n" + HIDDEN,
    "chunks and a length": START
    + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n1a\r\n" + BODY + b"\r\n0\r\n\r\n" + HIDDEN,
    "chunks by another name": START + b"Transfer-Encoding: xchunked\r\n\r\n1a\r\n" + BODY + b"\r\n0\r\n\r\n",
    "chunks twice": START + b"Transfer-Encoding: chunked, identity\r\n\r\n1a\r\n" + BODY + b"\r\n0\r\n\r\n",
    "packed chunks": START + b"Transfer-Encoding: gzip, chunked\r\n\r\n1a\r\n" + BODY + b"\r\n0\r\n\r\n" + HIDDEN,
    "packed, and chunks": START
    + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n1a\r\n" + BODY + b"\r\n0\r\n\r\n" + HIDDEN,
    "chunks before there were any": START.replace(b"HTTP/1.1", b"HTTP/1.0")
    + b"Transfer-Encoding: chunked\r\n\r\n1a\r\n" + BODY + b"\r\n0\r\n\r\n",
    "a length with a sign": START + b"Content-Length: +26\r\n\r\n" + BODY,
    "a length below nothing": START + b"Content-Length: -1\r\n\r\n" + BODY,
    "a length in hexadecimal": START + b"Content-Length: 0x1a\r\n\r\n" + BODY,
    "a chunk of no size": START + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + BODY + b"\r\n0\r\n\r\n",
    "a chunk beyond all size": START + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 17 + b"\r\n" + BODY,
    "a header that goes on in the next line": START + b"X-A: b\r\n c: d\r\nContent-Length: 26\r\n\r\n" + BODY,
    "a space before a colon": START + b"Content-Length : 26\r\n\r\n" + BODY,
    "a header with a NUL": START + b"X-A: b\x00c\r\nContent-Length: 26\r\n\r\n" + BODY,
    "a line that ends with CR alone": b"GET / HTTP/1.1\rHost: x\r\r",
    "no host": b"GET /api/posts HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /api/posts HTTP/1.1\r\nHost: x\r\nhost: y\r\n\r\n",
    "a host that is none": b"GET /api/posts HTTP/1.1\r\nHost: a b/c@d\r\n\r\n",
    "a host with a path": b"GET /api/posts HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "a host with a user": b"GET /api/posts HTTP/1.1\r\nHost: a@b\r\n\r\n",
    "a port that is none": b"GET /api/posts HTTP/1.1\r\nHost: a:b\r\n\r\n",
    "several hosts in one line": b"GET /api/posts HTTP/1.0\r\nHost: a, b\r\n\r\n",
    "a socket by POST": START + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nContent-Length: 26\r\n\r\n" + BODY,
    "chunks whose extension has no end": START + b"Transfer-Encoding: chunked\r\n\r\n1a;" + b"a" * 70_000,
    "trailers without end": START
    + b"Transfer-Encoding: chunked\r\n\r\n1a\r\n" + BODY + b"\r\n0\r\n" + b"a:\r\n" * 10_000,
    "a trailer without end": START
    + b"Transfer-Encoding: chunked\r\n\r\n1a\r\n" + BODY + b"\r\n0\r\na: " + b"b" * 70_000,
    "a tunnel": b"CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n" + HIDDEN,
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 50 + b"\r\n\r\n",
    "a method that is none": b"G\x00T / HTTP/1.1\r\nHost: x\r\n\r\n",
    "headers without end": START + b"X-A: " + b"a" * 70_000,
    "more headers than anyone reads": START + b"".join(b"X-%d: a\r\n" % n for n in range(20_000)),
    "an address without end": b"GET /" + b"a" * 70_000,
}  # fmt: skip


@pytest.fixture
async def live(sqlite_url: str) -> AsyncIterator[Listening]:
    async with listening(sqlite_url) as server:
        yield server


async def connected(live: Listening, **options: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    place = urlsplit(live.address)
    return await asyncio.open_connection(place.hostname, place.port, **options)


async def said(live: Listening, *pieces: bytes) -> bytes:
    """All that the server answers until it closes the connection."""
    reader, writer = await connected(live)
    heard = b""
    with suppress(ConnectionError):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        async with asyncio.timeout(PATIENCE):
            while piece := await reader.read(65536):
                heard += piece
    writer.close()
    return heard


def statuses(heard: bytes) -> list[int]:
    return [int(line[:3]) for line in heard.split(b"HTTP/1.1 ")[1:]]


@pytest.mark.parametrize("name", REFUSED)
async def test_a_request_that_can_be_read_in_two_ways_is_read_in_none(live: Listening, name: str) -> None:
    """400, once, and the connection is closed: nothing that follows is taken for a request."""
    heard = await said(live, REFUSED[name])
    assert heard.startswith(b"HTTP/1.1 400")
    assert heard.count(b"HTTP/1.1 ") == 1
    assert (await live.http.get("/api/health")).json()["status"] == "healthy"


async def test_no_socket_begins_within_an_answer(live: Listening) -> None:
    """Asked for in the same breath as something else, it would have that answer among its frames."""
    upgrade = (
        b"GET /graphql HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        b"Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
    )
    heard = await said(live, HIDDEN + upgrade)
    assert statuses(heard) == [200, 400]


async def test_extensions_of_chunks_are_nothing(live: Listening) -> None:
    """They are read past; one that goes on without end is no progress, and is waited for no longer than that."""
    chunks = b'1a;a=b;c="d"\r\n' + BODY + b"\r\n0;e\r\nX-Trailer: f\r\n\r\n"
    closing = b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert b'{"data":{"__typename":"Query"}}' in await said(live, START + closing + chunks)


CHUNKED = START + b"Transfer-Encoding: chunked\r\n\r\n1a\r\n" + BODY + b"\r\n0\r\n"


async def test_a_space_after_what_a_header_says_is_none_of_it(live: Listening) -> None:
    assert statuses(await said(live, CHUNKED.replace(b"chunked", b"Chunked ") + b"\r\n" + LAST)) == [200, 200]


async def test_what_comes_after_a_body_is_no_header(live: Listening) -> None:
    """Whatever it is called; and nothing of it is left for the next request."""
    trailers = b"X-Request-ID: trailing-one\r\nAuthorization: Bearer nonsense\r\nX-Empty:\r\n\r\n"
    heard = await said(live, CHUNKED + trailers + LAST)
    assert heard.count(b"HTTP/1.1 200") == 2
    assert b'{"data":{"__typename":"Query"}}' in heard
    assert b"trailing-one" not in heard


@pytest.mark.parametrize(
    "host",
    [b"", b"x", b"x \t", b"x:", b"x:80", b"a_b.example.", b"[::1]:8000", b"127.0.0.1:1", b"xn--4ca.example", b"%C3%A4"],
)
async def test_a_host_may_be_any_that_there_are(live: Listening, host: bytes) -> None:
    assert statuses(await said(live, LAST.replace(b"Host: x", b"Host: " + host))) == [200]


UPGRADES = {
    "h2c": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
    "something": b"Connection: upgrade\r\nUpgrade: foo/2\r\nX-Empty:\r\n",
    "two connections": b"Connection: upgrade\r\nUpgrade: websocket\r\nConnection: keep-alive\r\n",
}
FRAMED = {
    "a length": b"Content-Length: 26\r\n\r\n" + BODY,
    "chunks": b"Transfer-Encoding: chunked\r\n\r\n1a\r\n" + BODY + b"\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("framed", FRAMED)
@pytest.mark.parametrize("upgrade", UPGRADES)
@pytest.mark.parametrize("size", [1, 100_000], ids=["byte by byte", "at once"])
async def test_what_else_it_could_be_does_not_matter(live: Listening, upgrade: str, framed: str, size: int) -> None:
    """An offer to go on in a protocol that is not ours changes nothing, least of all where the request ends."""
    sent = START + UPGRADES[upgrade] + FRAMED[framed] + LAST
    heard = await said(live, *[sent[start : start + size] for start in range(0, len(sent), size)])
    assert heard.count(b"HTTP/1.1 200") == heard.count(b"HTTP/1.1 ") == 2
    assert b'{"data":{"__typename":"Query"}}' in heard


async def test_no_request_is_in_the_body_of_another(live: Listening) -> None:
    """Though the other offers to go on in another protocol."""
    head = START + b"Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: %d\r\n\r\n" % len(HIDDEN)
    heard = await said(live, head, HIDDEN, LAST)
    assert heard.startswith(b"HTTP/1.1 400")  # it is no JSON
    assert heard.count(b"HTTP/1.1 ") == 2
    assert b"data" not in heard


async def test_trailers_are_bounded_after_the_answer_too(live: Listening) -> None:
    """Nobody waits for what is thrown away, and none of it is kept."""
    reader, writer = await connected(live)
    writer.write(START.replace(b"graphql", b"api/posts") + b"Transfer-Encoding: chunked\r\n\r\n")
    heard = await reader.readuntil(b"}")
    assert heard.startswith(b"HTTP/1.1 401")
    writer.write(b"1a\r\n" + BODY + b"\r\n0\r\n" + b"a: b\r\n" * 10_000)
    with suppress(ConnectionError):
        async with asyncio.timeout(PATIENCE):
            assert await reader.read() == b""
    writer.close()


@pytest.mark.parametrize("name", REFUSED)
async def test_what_was_asked_before_is_answered_first(live: Listening, name: str) -> None:
    """Then what is wrong with the last is said, and nothing that follows is taken for a request."""
    assert statuses(await said(live, HIDDEN + HIDDEN + REFUSED[name] + HIDDEN)) == [200, 200, 400]


@pytest.mark.parametrize("cut", [0, 1, 40])
async def test_a_head_is_measured_without_the_body_before_it(live: Listening, cut: int) -> None:
    """They may have come in one piece."""
    body = BODY.ljust(100_000)
    sent = START + b"Content-Length: %d\r\n\r\n" % len(body) + body
    assert statuses(await said(live, sent + LAST[:cut], LAST[cut:])) == [200, 200]


async def test_requests_in_one_breath_are_few_at_a_time(live: Listening) -> None:
    """They are answered in their order; how many the sender has written is no matter to the server's memory."""
    reader, writer = await connected(live)
    count, most, heard = 3000, 0, b""
    asked = [b"GET /api/health/live HTTP/1.1\r\nHost: x\r\nX-Request-ID: request-%d\r\n\r\n" % n for n in range(count)]
    writer.write(b"".join(asked) + LAST)
    async with asyncio.timeout(PATIENCE):
        while piece := await reader.read(4096):
            heard += piece
            most = max([most, *[len(connection.pipeline) for connection in live.server.server_state.connections]])
    writer.close()
    assert [line[14:] for line in heard.split(b"\r\n") if line.startswith(b"x-request-id: request-")] == [
        b"request-%d" % n for n in range(count)
    ]
    assert 0 < most < 100


async def test_who_asked_in_one_breath_and_left_is_left(live: Listening) -> None:
    """The stream that was asked for first hears of it, though it is not what arrived last."""
    _, writer = await connected(live)
    writer.write(b"GET /api/events HTTP/1.1\r\nHost: x\r\n\r\n" + HIDDEN)
    await until(lambda: live.gateway.streams.count == 1)
    writer.transport.abort()
    (connection,) = live.server.server_state.connections
    connection.transport.abort()  # as it will be when something is written to it
    await until(lambda: live.gateway.streams.count == 0)


async def test_bodies_are_bounded_together(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each within its bound: who sends what there is no room for is told to come again, and others go on."""
    monkeypatch.setattr(request_state, "MOST_BODIES", 2)
    head = START + b"Connection: close\r\nContent-Length: 900\r\n\r\n"
    async with listening(sqlite_url, max_body_bytes=1000) as live:
        some = [await connected(live) for _ in range(2)]
        for _, writer in some:
            writer.write(head + b" " * 800)
        refused = b""
        async with asyncio.timeout(PATIENCE):
            while b"503" not in refused:  # until what the others sent has been read
                refused = await said(live, head + b" " * 800 + BODY.ljust(100))
        assert b"Retry-After: 1" in refused.title()
        for reader, writer in some:
            writer.write(BODY.ljust(100))
            assert b'{"data":{"__typename":"Query"}}' in await reader.read()
            writer.close()
        assert b'{"data":{"__typename":"Query"}}' in await said(live, head + BODY.ljust(900))


@pytest.mark.parametrize(
    "piece",
    [
        b"",
        b"GET /api/po",
        START,
        START + b"Content-Length: 26\r\n\r\n" + BODY[:9],
        START + b"Transfer-Encoding: chunked\r\n\r\n5",
    ],
    ids=["nothing", "a line", "headers", "half a body", "half a chunk"],
)  # fmt: skip
async def test_a_request_that_never_ends_is_not_waited_for(
    live: Listening, piece: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever part of it is missing, and though a byte comes now and then."""
    monkeypatch.setattr(timeouts, "IDLE_TIMEOUT_SECONDS", 0.3)
    reader, writer = await connected(live)
    writer.write(piece)
    with suppress(ConnectionError):
        async with asyncio.timeout(PATIENCE):
            assert await reader.read() == b""
    writer.close()


EXPECTING = b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n"


@pytest.mark.parametrize(
    ("line", "length", "status"), [(START, 99_999_999, 413), (START.replace(b"graphql", b"api/posts"), 26, 401)]
)
async def test_no_request_is_taken_for_a_body_nobody_asked_for(
    live: Listening, line: bytes, length: int, status: int
) -> None:
    """Who was refused before they sent theirs is told that it is not waited for."""
    heard = await said(live, line + EXPECTING % length)
    assert statuses(heard) == [status]
    assert heard.lower().count(b"connection: ") == heard.count(b"connection: close") == 1


async def test_who_asks_before_sending_is_told_to_go_on(live: Listening) -> None:
    """And may ask for something else afterwards."""
    reader, writer = await connected(live)
    writer.write(START + EXPECTING % len(BODY))
    async with asyncio.timeout(PATIENCE):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(BODY)
        assert b"connection: close" not in await reader.readuntil(b"}}")
        writer.write(LAST)
        assert statuses(await reader.read()) == [200]
    writer.close()


async def test_a_stream_of_the_old_protocol_has_no_chunks(live: Listening) -> None:
    """It ends with its connection, and says only that of it."""
    reader, writer = await connected(live)
    writer.write(b"GET /api/events HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    async with asyncio.timeout(PATIENCE):
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        first = await reader.readuntil(b"\n\n")
        assert b"transfer-encoding" not in head
        assert head.count(b"\r\nconnection:") == head.count(b"\r\nconnection: close\r\n") == 1
        assert first.startswith((b"id: ", b"data: ", b"event: "))
        post = await live.graphql.create(await live.account(), title="Told", content=CONTENT, status="PUBLISHED")
        assert post["id"].encode() in await reader.readuntil(b"\n\n")
        live.gateway.streams.drain()
        assert not (await reader.read()).endswith(b"0\r\n\r\n")
    writer.close()


async def test_a_subscription_of_the_old_protocol_has_no_chunks(live: Listening) -> None:
    """Its frames go the long way."""
    query = b'{"query":"subscription { postEvents { __typename } }"}'
    reader, writer = await connected(live)
    head = START.replace(b"HTTP/1.1", b"HTTP/1.0") + b"Accept: text/event-stream\r\nContent-Length: %d\r\n\r\n"
    writer.write(head % len(query) + query)
    async with asyncio.timeout(PATIENCE):
        assert b"transfer-encoding" not in (await reader.readuntil(b"\r\n\r\n")).lower()
        await live.subscribed()
        await live.graphql.create(await live.account(), title="Told", content=CONTENT, status="PUBLISHED")
        frames = b""
        while b"__typename" not in frames:
            frames += await reader.readuntil(b"\n\n")
    assert frames.startswith((b"event: ", b"data: ", b":", b"id: "))
    writer.close()


@pytest.mark.parametrize(
    "pieces",
    [(HIDDEN, b"\r\n"), (START.replace(b"graphql", b"api/posts") + b"Content-Length: 26\r\n\r\n", BODY)],
    ids=["an empty line", "a body that was not wanted"],
)  # fmt: skip
async def test_a_request_that_never_begins_is_not_waited_for(live: Listening, pieces: tuple[bytes, bytes]) -> None:
    """Though something came since the last answer that was no part of one."""
    live.server.config.timeout_keep_alive = 1
    reader, writer = await connected(live)
    writer.write(pieces[0])
    async with asyncio.timeout(PATIENCE):
        await reader.readuntil(b"\r\n\r\n")
        await until(lambda: answering(live) == 0)
        writer.write(pieces[1])
        await reader.read()
    writer.close()


async def test_who_sends_slowly_but_surely_is_waited_for(live: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kibibyte a second is progress."""
    monkeypatch.setattr(timeouts, "IDLE_TIMEOUT_SECONDS", 0.05)
    monkeypatch.setattr(timeouts, "MIN_PROGRESS_BYTES", 10)
    looks, look = [], timeouts.IdleTimeout.check
    monkeypatch.setattr(timeouts.IdleTimeout, "check", lambda self: (looks.append(self), look(self)))
    head = START + b"Connection: close\r\nContent-Length: 200\r\n\r\n"
    reader, writer = await connected(live)
    for number, piece in enumerate((head + b" " * 20, *[b" " * 20] * 5)):
        writer.write(piece)
        await until(lambda: len(looks) > number)  # noqa: B023 - it is looked at before the next
    writer.write(BODY.ljust(80))
    assert b'{"data":{"__typename":"Query"}}' in await reader.read()
    writer.close()


async def test_a_reader_that_never_reads_is_disconnected(live: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for it goes with it."""
    monkeypatch.setattr(timeouts, "IDLE_TIMEOUT_SECONDS", 0.5)
    author: Account = await live.account()
    for n in range(30):
        post = {"title": f"Long {n}", "content": CONTENT + "x" * 99_000, "status": "PUBLISHED"}
        assert isinstance(await live.graphql.create(author, **post), dict)
    query = b'{"query":"{ posts(first: 30) { nodes { a: content b: content c: content } } }"}'
    _, writer = await connected(live, limit=1)
    for _ in range(3):
        writer.write(START + b"Content-Length: %d\r\n\r\n" % len(query) + query)
    await until(lambda: answering(live) == 1)
    await until(lambda: answering(live) == 0)
    writer.close()


def answering(live: Listening) -> int:
    """How many requests the server has a task for."""
    return len(live.server.server_state.tasks)


async def test_sockets_are_no_requests_that_never_end(live: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that has been let in stays, though it says nothing for longer than a request may take."""
    monkeypatch.setattr(timeouts, "IDLE_TIMEOUT_SECONDS", 0.2)
    async with socket(live.address) as client:
        await asyncio.sleep(0.6)
        assert await client.asked("{ __typename }") == "Query"


async def test_a_socket_that_never_introduces_itself_is_closed(sqlite_url: str) -> None:
    """4408, and it counts as nobody's stream until then."""
    async with listening(sqlite_url, graphql_init_timeout="0.3s") as live:
        clients = [socket(live.address, init=False) for _ in range(20)]
        opened = [await client.__aenter__() for client in clients]
        assert live.gateway.streams.count == 0
        for client in opened:
            async with asyncio.timeout(PATIENCE):
                await client.connection.wait_closed()
            assert client.connection.close_code == 4408
        for client in clients:
            await client.__aexit__(None, None, None)
