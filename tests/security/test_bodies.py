"""Request bodies that are compressed, malformed or ambiguous."""

import gzip
import zlib

import pytest

from tests.support.servers import Server

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]

PATHS = ["/graphql", "/api/posts", "/api/auth/login"]
BOMB = b" " * 50_000_000
JSON = {"Content-Type": "application/json"}


def get_code(response) -> str:
    """Return the error code of a response, in either protocol."""
    body = response.json()
    return body["errors"][0]["extensions"]["code"] if "errors" in body else body["code"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "gzip, gzip"])
async def test_compressed_bodies_are_never_decompressed(server: Server, author, path: str, encoding: str) -> None:
    """A body of 50 kB that unpacks to 50 MB is rejected as invalid JSON."""
    body = zlib.compress(BOMB, 9) if encoding == "deflate" else gzip.compress(BOMB, 9)
    headers = {**JSON, **author.headers, "Content-Encoding": encoding}
    response = await server.anonymous.post(path, content=body, headers=headers)
    assert (response.status_code, get_code(response)) == (400, "VALIDATION_ERROR")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "body",
    [
        b'{"query": "\xff\xfe"}',
        b'{"title": "\xc0\xaf"}',
        b"\xef\xbb\xbf{}",
        '{"query": "{}"}'.encode("utf-16"),
        b"\x00",
    ],
)
async def test_a_body_that_is_not_utf8_is_rejected(server: Server, author, path: str, body: bytes) -> None:
    response = await server.anonymous.post(path, content=body, headers={**JSON, **author.headers})
    assert (response.status_code, get_code(response)) == (400, "VALIDATION_ERROR")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
async def test_deeply_nested_json_is_rejected(server: Server, author, path: str, opening: bytes) -> None:
    """A hundred thousand levels, closed or not."""
    closing = b"]" if opening == b"[" else b"}"
    for body in (opening * 100_000, opening * 100_000 + b"1" + closing * 100_000):
        response = await server.anonymous.post(path, content=body, headers={**JSON, **author.headers})
        assert (response.status_code, get_code(response)) == (400, "VALIDATION_ERROR")


async def test_the_last_of_duplicate_keys_counts_everywhere(server: Server, author) -> None:
    """All parts of the server parse a body alike, so that the value that is checked is the value that is used."""
    body = b'{"title": "First", "title": "Last", "content": "Long enough for a post."}'
    created = await server.anonymous.post("/api/posts", content=body, headers={**JSON, **author.headers})
    assert created.json()["data"]["title"] == "Last"
    body = b'{"query": "{ a: __typename }", "query": "{ b: __typename }"}'
    assert (await server.anonymous.post("/graphql", content=body, headers=JSON)).json() == {"data": {"b": "Query"}}
