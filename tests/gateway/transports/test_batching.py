"""Several GraphQL requests in one body, where they are allowed."""

import pytest

from tests.support.callers import AUTH
from tests.support.writing import CONTENT

pytestmark = pytest.mark.anyio

CREATE = "mutation($input: CreatePostInput!) { createPost(input: $input) { version } }"
ASK = {"query": "{ __typename }"}


async def test_a_batch_is_answered_in_order_each_by_itself(make_server, author) -> None:
    """What one of them is refused for does not touch the others."""
    server = await make_server(graphql_max_batch=4)
    batch = [
        {"query": CREATE, "variables": {"input": {"title": "In a batch", "content": CONTENT}}},
        {"query": "query Own { viewer { posts(filter: {status: DRAFT}) { nodes { title } } } }"},
        {"query": "{ nowhere }"},
        {"query": "subscription { postEvents { id } }"},
    ]
    response = await server.anonymous.post("/graphql", json=batch, headers=author.headers)
    assert response.status_code == 200
    created, own, nowhere, subscription = response.json()
    assert created == {"data": {"createPost": {"version": 1}}}
    assert own == {"data": {"viewer": {"posts": {"nodes": [{"title": "In a batch"}]}}}}
    assert [reply["errors"][0]["extensions"]["code"] for reply in (nowhere, subscription)] == [
        "VALIDATION_ERROR",
        "NOT_ACCEPTABLE",
    ]


async def test_a_batch_beyond_the_limit_is_413_and_one_that_is_none_400(make_server) -> None:
    server = await make_server(graphql_max_batch=2)
    for batch, status in (([ASK] * 2, 200), ([ASK] * 3, 413), ([], 400), ([ASK, 5], 400), ([ASK, {}], 400)):
        response = await server.anonymous.post("/graphql", json=batch)
        assert (batch, response.status_code) == (batch, status)


async def test_batches_are_off_unless_they_are_switched_on(server) -> None:
    response = await server.anonymous.post("/graphql", json=[ASK])
    assert response.status_code == 400
    assert response.json()["errors"][0]["message"] == "body: must be one request; batches are disabled"


async def test_each_of_a_batch_counts_in_the_limits(make_server) -> None:
    """And each sign-in among them."""
    server = await make_server(graphql_max_batch=5, rate_limit_api="10/minute", rate_limit_auth="3/minute")
    first = await server.anonymous.post("/graphql", json=[ASK] * 4)
    assert first.headers["X-RateLimit-Remaining"] == "6"
    login = f'mutation {{ login(input: {{email: "a@example.com", password: "wrong"}}) {{ {AUTH} }} }}'
    guesses = await server.anonymous.post("/graphql", json=[{"query": login}] * 4)
    assert guesses.status_code == 429
