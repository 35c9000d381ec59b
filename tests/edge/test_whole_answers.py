"""Answers that are written in one piece say what those say that go through every layer."""

import asyncio
import re
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

from tests.live.listening import Listening, listening
from tests.support.patience import PATIENCE

ASKED = b'{"query":"{ __typename }"}'
ANSWERED = b'{"data":{"__typename":"Query"}}'
CHANGING = re.compile(rb"(?m)^(date|ratelimit|x-ratelimit-\w+|x-request-id): .*\r\n")
"""Headers of which each answer has its own."""
LAST = b"connection: close\r\n"


@pytest.fixture
async def live(sqlite_url: str) -> AsyncIterator[Listening]:
    async with listening(sqlite_url) as server:
        yield server


def question(*headers: bytes, body: bytes = ASKED) -> bytes:
    lines = b"Content-Type: application/json", b"Content-Length: %d" % len(body), *headers
    return b"POST /graphql HTTP/1.1\r\nHost: x\r\n%b\r\n\r\n%b" % (b"\r\n".join(lines), body)


def reading(path: bytes, *headers: bytes, method: bytes = b"GET", version: bytes = b"1.1") -> bytes:
    return b"%b %b HTTP/%b\r\nHost: x\r\n%b\r\n" % (method, path, version, b"".join(b"%b\r\n" % h for h in headers))


async def talked(live: Listening, *pieces: bytes) -> bytes:
    """All that is said to these pieces, of which the last is to end the connection."""
    place = urlsplit(live.address)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
    async with asyncio.timeout(PATIENCE):
        heard = await reader.read(-1)
    writer.close()
    return heard


def parts(heard: bytes) -> list[tuple[bytes, dict[bytes, bytes], bytes]]:
    """Status line, headers without those that change, and body of each answer."""
    answers = []
    while heard:
        head, _, heard = heard.partition(b"\r\n\r\n")
        first, _, lines = CHANGING.sub(b"", head + b"\r\n").partition(b"\r\n")
        headers = dict(line.split(b": ", 1) for line in lines.split(b"\r\n") if line)
        length = int(headers.get(b"content-length", 0))
        answers.append((first, headers, heard[:length]))
        heard = heard[length:]
    return answers


@pytest.mark.parametrize(
    "asked",
    [question, lambda *headers: reading(b"/api/posts", *headers), lambda *headers: reading(b"/api/posts/1", *headers)],
    ids=["an operation", "a list", "a refusal"],
)
async def test_either_way_has_the_same_headers(live: Listening, asked):
    """What ends its connection goes by messages; but for that, clients cannot tell."""
    named = b"X-Request-ID: one"  # the same, for a refusal names it in its body
    whole, by_messages = parts(await talked(live, asked(named), asked(named, b"Connection: close")))
    assert by_messages[1].pop(b"connection") == b"close"
    assert whole == by_messages


async def test_what_is_sent_together_is_answered_in_turn(live: Listening):
    """Each its own, though the second has arrived before the first is answered."""
    texts = [b'{"query":"{ a%d: __typename }"}' % n for n in range(5)]
    packet = b"".join(question(body=text) for text in texts)
    answers = parts(await talked(live, packet + reading(b"/api/health/live", b"Connection: close")))
    assert [body for *_, body in answers[:5]] == [b'{"data":{"a%d":"Query"}}' % n for n in range(5)]
    assert answers[5][0] == b"HTTP/1.1 200 OK"


async def test_a_head_has_no_body(live: Listening):
    """And says what the GET would."""
    get, _ = parts(await talked(live, reading(b"/api/posts"), reading(b"/api/posts", b"Connection: close")))
    heard = await talked(live, reading(b"/api/posts", b"Connection: close", method=b"HEAD"))
    head, _, body = heard.partition(b"\r\n\r\n")
    assert body == b""
    assert b"content-length: %b" % get[1][b"content-length"] in head


async def test_older_clients_and_patient_ones(live: Listening):
    """HTTP/1.0 is answered and closed; who waits to be told to go on is told, once."""
    (old,) = parts(await talked(live, reading(b"/api/posts", version=b"1.0")))
    assert (old[0], old[1][b"connection"]) == (b"HTTP/1.1 200 OK", b"close")
    waiting = question(b"Expect: 100-continue")
    heard = await talked(live, waiting[: -len(ASKED)], ASKED, reading(b"/api/health/live", b"Connection: close"))
    assert heard.count(b"100 Continue\r\n\r\nHTTP/1.1 200 OK") == 1
    assert ANSWERED in heard


async def test_not_modified_has_no_body_and_no_length(live: Listening):
    """Neither way."""
    etag = (await live.http.get("/api/posts")).headers["etag"].encode()
    again = reading(b"/api/posts", b"If-None-Match: " + etag)
    last = reading(b"/api/posts", b"If-None-Match: " + etag, b"Connection: close")
    whole, by_messages = parts(await talked(live, again, last))
    assert whole[0] == by_messages[0] == b"HTTP/1.1 304 Not Modified"
    assert b"content-length" not in whole[1]
    assert whole[1][b"etag"] == by_messages[1][b"etag"] == etag
