"""Automatic persisted queries, by Apollo's protocol."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.graphql.cache.lru import LRUCache
from gateway.persisted.resolver import MAX_PERSISTED_CHARACTERS, digest
from tests.support.servers import Server

QUERY = "query Named { __typename }"
DATA = {"data": {"__typename": "Query"}}


def hashed(query: str, **changes: Any) -> dict[str, Any]:
    return {"persistedQuery": {"version": 1, "sha256Hash": digest(query), **changes}}


async def post(server: Server, **body: Any) -> httpx.Response:
    return await server.anonymous.post("/graphql", json=body)


async def get(server: Server, **parameters: Any) -> httpx.Response:
    request = {name: value if isinstance(value, str) else json.dumps(value) for name, value in parameters.items()}
    return await server.anonymous.get("/graphql", params=request)


def told(response: httpx.Response) -> tuple[int, str, str]:
    """Of a request that was refused: its status, code and message."""
    assert list(response.json()) == ["errors"]
    (error,) = response.json()["errors"]
    return response.status_code, error["extensions"]["code"], error["message"]


@pytest.mark.parametrize("ask", [post, get])
async def test_a_document_is_sent_once_and_then_its_hash(make_server, ask) -> None:
    """As Apollo Server has it, an unknown hash is a 200; another process knows nothing of it."""
    server, other = await make_server(), await make_server()
    for one in (server, other):
        rejected = await ask(one, extensions=hashed(QUERY))
        assert told(rejected) == (200, "PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound")
        assert rejected.headers["Cache-Control"] == "no-store"
    assert (await ask(server, query=QUERY, extensions=hashed(QUERY))).json() == DATA
    assert (await ask(server, extensions=hashed(QUERY), operationName="Named")).json() == DATA
    assert told(await ask(other, extensions=hashed(QUERY)))[1] == "PERSISTED_QUERY_NOT_FOUND"


@pytest.mark.parametrize(
    ("extensions", "message"),
    [
        (hashed("{ other }"), "provided sha does not match query"),
        (hashed(QUERY, version=2), "Unsupported persisted query version"),
        ({"persistedQuery": 5}, None),
        ({"persistedQuery": {"version": 1}}, None),
        ({"persistedQuery": {"version": 1, "sha256Hash": 5}}, None),
    ],
)
async def test_a_wrong_hash_is_400(server: Server, extensions: dict[str, Any], message: str | None) -> None:
    status, code, output = told(await post(server, query=QUERY, extensions=extensions))
    assert (status, code) == (400, "VALIDATION_ERROR")
    assert message in (output, None)


@pytest.mark.parametrize("hash", ["", "\0", "x" * 100_000, "0" * 64])
async def test_a_hash_that_nothing_has_is_not_found(server: Server, hash: str) -> None:
    extensions = {"persistedQuery": {"version": 1, "sha256Hash": hash}}
    assert told(await post(server, extensions=extensions))[:2] == (200, "PERSISTED_QUERY_NOT_FOUND")


async def test_an_invalid_document_is_not_stored(server: Server) -> None:
    wrong = "{ nowhere }"
    assert told(await post(server, query=wrong, extensions=hashed(wrong)))[:2] == (400, "VALIDATION_ERROR")
    assert told(await post(server, extensions=hashed(wrong)))[1] == "PERSISTED_QUERY_NOT_FOUND"


async def test_they_can_be_switched_off(make_server) -> None:
    server = await make_server(graphql_max_persisted_queries=0)
    rejected = (200, "PERSISTED_QUERY_NOT_SUPPORTED", "PersistedQueryNotSupported")
    assert told(await post(server, extensions=hashed(QUERY))) == rejected
    assert (await post(server, query=QUERY)).json() == DATA


async def test_the_most_recently_used_documents_are_kept(make_server) -> None:
    server = await make_server(graphql_max_persisted_queries=2)
    first, second, third = (f"query Q{number} {{ __typename }}" for number in range(3))
    for query in (first, second):
        await post(server, query=query, extensions=hashed(query))
    await post(server, extensions=hashed(first))
    await post(server, query=third, extensions=hashed(third))
    known = [(await post(server, extensions=hashed(query))).json() == DATA for query in (first, second, third)]
    assert known == [True, False, True]


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(1, 4 * 2**20)), max_size=40),
    st.integers(0, 10),
)
def test_what_is_kept_is_bounded_in_number_and_in_weight(request: list[tuple[int, int]], most: int) -> None:
    class Text(str):
        def __len__(self) -> int:
            return self.weight

    automatic = LRUCache[str](most, MAX_PERSISTED_CHARACTERS, lambda sha256, text: len(text))
    for name, weight in request:
        text = Text()
        text.weight = weight
        automatic.put(str(name), text)
        assert automatic.entries <= most
        assert automatic.weight == sum(len(text) for text in automatic.values.values()) <= MAX_PERSISTED_CHARACTERS


async def test_a_mutation_by_hash_is_refused_by_get(server: Server) -> None:
    mutation = 'mutation { deletePost(id: "x") }'
    await post(server, query=mutation, extensions=hashed(mutation))
    rejected = await get(server, extensions=hashed(mutation))
    assert (rejected.status_code, rejected.headers["Allow"]) == (405, "POST")


async def test_a_sign_in_by_hash_counts_as_one(make_server) -> None:
    """Otherwise a password could be guessed at as often as one likes."""
    server = await make_server(rate_limit_auth="2/minute")
    login = 'mutation { login(input: {email: "a@example.com", password: "wrong"}) { expiresIn } }'
    statuses = [(await post(server, query=login, extensions=hashed(login))).status_code]
    statuses += [(await post(server, extensions=hashed(login))).status_code for _ in range(2)]
    assert statuses == [200, 200, 429]
