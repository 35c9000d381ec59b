"""A raw HTTP client: it sends bytes as they are, and returns the bytes that the server answers with."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple
from urllib.parse import urlsplit

from tests.support.waiting import TEST_TIMEOUT_SECONDS

TYPENAME_QUERY = b'{"query":"{ __typename }"}'
TYPENAME_RESULT = b'{"data":{"__typename":"Query"}}'


class RawResponse(NamedTuple):
    """A response as it was sent. Header names are in lower case."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


@asynccontextmanager
async def open_raw_connection(
    url: str, **options: object
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Open a connection to the server at this URL, and close it with the scope."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port, **options)
    try:
        yield reader, writer
    finally:
        writer.close()


async def exchange(url: str, *chunks: bytes) -> bytes:
    """Send the chunks one by one, and return all that the server sends until it closes the connection."""
    async with open_raw_connection(url) as (reader, writer):
        received = b""
        with suppress(ConnectionError):
            for chunk in chunks:
                writer.write(chunk)
                await writer.drain()
            async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
                while chunk := await reader.read(65536):
                    received += chunk
        return received


async def read_until_closed(reader: asyncio.StreamReader) -> bytes:
    """Return what else the server sends. A reset connection counts as closed."""
    received = b""
    with suppress(ConnectionError):
        async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
            while chunk := await reader.read(65536):
                received += chunk
    return received


def format_request(method: bytes, path: bytes, *headers: bytes, body: bytes = b"", version: bytes = b"1.1") -> bytes:
    """Return a request with a `Host`, with `Content-Type` and `Content-Length` if it has a body, and these headers."""
    lines = [b"%b %b HTTP/%b" % (method, path, version), b"Host: x"]
    if body:
        lines += [b"Content-Type: application/json", b"Content-Length: %d" % len(body)]
    return b"\r\n".join([*lines, *headers, b"", body])


def get(path: bytes, *headers: bytes) -> bytes:
    return format_request(b"GET", path, *headers)


def post_graphql(*headers: bytes, body: bytes = TYPENAME_QUERY) -> bytes:
    return format_request(b"POST", b"/graphql", *headers, body=body)


def parse_statuses(received: bytes) -> list[int]:
    """Return the status codes of the responses, in their order."""
    return [int(line[:3]) for line in received.split(b"HTTP/1.1 ")[1:]]


def parse_responses(received: bytes) -> list[RawResponse]:
    """Parse responses whose bodies have a `Content-Length`, or none."""
    responses = []
    while received:
        head, _, received = received.partition(b"\r\n\r\n")
        status_line, *lines = head.split(b"\r\n")
        headers = dict(line.split(b": ", 1) for line in lines)
        length = int(headers.get(b"content-length", 0))
        responses.append(RawResponse(int(status_line.split(b" ")[1]), headers, received[:length]))
        received = received[length:]
    return responses
