"""Bodies that are not what they seem."""

import gzip
import zlib

import pytest

from tests.support.servers import Server

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]

PATHS = ["/graphql", "/api/posts", "/api/auth/login"]
BOMB = b" " * 50_000_000
JSON = {"Content-Type": "application/json"}


def code_of(answer) -> str:
    body = answer.json()
    return body["errors"][0]["extensions"]["code"] if "errors" in body else body["code"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "gzip, gzip"])
async def test_nothing_is_unpacked(server: Server, author, path: str, encoding: str) -> None:
    """A body of 50 kB that would be 50 MB is 50 kB of nonsense."""
    body = zlib.compress(BOMB, 9) if encoding == "deflate" else gzip.compress(BOMB, 9)
    headers = {**JSON, **author.headers, "Content-Encoding": encoding}
    answer = await server.anonymous.post(path, content=body, headers=headers)
    assert (answer.status_code, code_of(answer)) == (400, "VALIDATION_ERROR")


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
async def test_what_is_no_utf8_is_no_json(server: Server, author, path: str, body: bytes) -> None:
    answer = await server.anonymous.post(path, content=body, headers={**JSON, **author.headers})
    assert (answer.status_code, code_of(answer)) == (400, "VALIDATION_ERROR")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
async def test_json_in_itself_is_refused(server: Server, author, path: str, opening: bytes) -> None:
    """A hundred thousand levels of it, closed or not."""
    closing = b"]" if opening == b"[" else b"}"
    for body in (opening * 100_000, opening * 100_000 + b"1" + closing * 100_000):
        answer = await server.anonymous.post(path, content=body, headers={**JSON, **author.headers})
        assert (answer.status_code, code_of(answer)) == (400, "VALIDATION_ERROR")


async def test_of_keys_given_twice_the_last_counts_everywhere(server: Server, author) -> None:
    """No two parts of the server read one body differently: what is checked is what is done."""
    body = b'{"title": "First", "title": "Last", "content": "Long enough for a post."}'
    made = await server.anonymous.post("/api/posts", content=body, headers={**JSON, **author.headers})
    assert made.json()["data"]["title"] == "Last"
    body = b'{"query": "{ a: __typename }", "query": "{ b: __typename }"}'
    assert (await server.anonymous.post("/graphql", content=body, headers=JSON)).json() == {"data": {"b": "Query"}}
