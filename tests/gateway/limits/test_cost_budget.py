"""The cost budget: one for each client over all protocols."""

import re
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import httpx
import pytest

from tests.support.accounts import Account
from tests.support.addresses import unique_address
from tests.support.servers import Server
from tests.support.writing import CONTENT

pytestmark = pytest.mark.anyio

MakeServer: TypeAlias = Callable[..., Awaitable[Server]]

PAGE = "query($n: Int) { posts(first: $n) { nodes { id } } }"
"""Costs 2 points, and 1 for each row."""
RATE_LIMIT_ITEM = re.compile(r'"(\w+)";r=(\d+);t=(\d+)')


def get_remaining(response: httpx.Response) -> dict[str, int]:
    """Return what is left of each limit, by the `RateLimit` header."""
    return {name: int(remaining) for name, remaining, _ in RATE_LIMIT_ITEM.findall(response.headers["ratelimit"])}


async def test_graphql_and_rest_draw_on_one_budget(make_server: MakeServer, store: dict[str, str]):
    """An operation costs what it may return at most; a rejected one is free."""
    server = await make_server(rate_limit_cost="100/minute", rate_limit_api="50/minute", **store)
    async with server.browser(address=unique_address()) as client:
        body = {"query": PAGE, "variables": {"n": 28}}
        responses = [
            await client.post("/graphql", json=body),
            await client.get("/api/posts?limit=10"),
            await client.post("/graphql", json=body),
            await client.post("/graphql", json=body),
            await client.get("/api/posts?limit=50"),
        ]
        assert [response.status_code for response in responses] == [200, 200, 200, 429, 429]
        assert [get_remaining(response) for response in responses] == [
            {"api": 49, "cost": 70},
            {"api": 48, "cost": 36},
            {"api": 47, "cost": 6},
            {"api": 46, "cost": 6},
            {"api": 45, "cost": 6},
        ]
        for rejected in responses[3:]:
            assert 1 <= int(rejected.headers["retry-after"]) <= 61
        assert responses[4].json()["code"] == responses[3].json()["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
        assert responses[0].headers["ratelimit-policy"] == '"api";q=50;w=60, "cost";q=100;w=60'
        assert responses[0].headers["x-ratelimit-limit"] == "50"
        assert (await client.post("/graphql", json={"query": "{ __typename }"})).status_code == 200


async def test_text_search_costs_more_in_both_protocols(make_server: MakeServer):
    """Once to find the rows of a page, and once more to count all matches."""
    server = await make_server(rate_limit_cost="300/minute")
    client, search = server.anonymous, '{ posts(first: 8, filter: {q: "a"}) { nodes { id } totalCount } }'
    assert get_remaining(await client.post("/graphql", json={"query": search}))["cost"] == 300 - (2 + 8 + 10 + 2 * 20)
    for times in (1, 2):
        response = await client.get("/api/posts?limit=8&q=a")
        assert get_remaining(response)["cost"] == 240 - times * (14 + 2 * 8 + 2 * 20)
    assert get_remaining(await client.get("/api/posts?limit=8"))["cost"] == 100 - (14 + 2 * 8)


async def test_a_write_beyond_the_budget_is_not_done(make_server: MakeServer):
    """In either protocol. Each viewer has a budget."""
    server = await make_server(rate_limit_cost="15/minute")
    author, client = await server.account("Ann"), server.anonymous
    post = {"title": "A post", "content": CONTENT}
    mutation = "mutation($input: CreatePostInput!) { createPost(input: $input) { id } }"

    async def create_over_graphql(viewer: Account) -> int:
        body = {"query": mutation, "variables": {"input": post}}
        return (await client.post("/graphql", json=body, headers=viewer.headers)).status_code

    async def create_over_rest(viewer: Account) -> int:
        return (await client.post("/api/posts", json=post, headers=viewer.headers)).status_code

    statuses = [await create_over_graphql(author), await create_over_graphql(author), await create_over_rest(author)]
    assert statuses == [200, 429, 429]
    assert await create_over_rest(await server.account("Sam")) == 201
    assert (await client.get("/api/posts", headers=author.headers)).status_code == 429


async def test_a_budget_that_is_off_is_not_in_the_headers(make_server: MakeServer):
    server = await make_server(rate_limit_cost="off", rate_limit_api="5/minute")
    assert list(get_remaining(await server.anonymous.get("/api/posts"))) == ["api"]


async def test_the_graphql_cost_header_asks_for_the_cost(make_server: MakeServer):
    """`report` adds it to the response; `validate` returns it, or the errors, without running the operation, free."""
    server = await make_server(rate_limit_cost="50/minute", max_cost=40)

    async def send(cost: str, rows: int) -> httpx.Response:
        body = {"query": PAGE, "variables": {"n": rows}}
        return await server.anonymous.post("/graphql", json=body, headers={"GraphQL-Cost": cost})

    cost = {"cost": {"requested": 30, "maximum": 40}}
    assert (await send("report", 28)).json() == {"data": {"posts": {"nodes": []}}, "extensions": cost}
    for _ in range(3):
        assert (await send("validate", 28)).json() == {"extensions": cost}
    assert get_remaining(await send("report", 5))["cost"] == 13
    rejected = await send("validate", 90)
    assert rejected.status_code == 400
    assert rejected.json()["errors"][0]["message"].startswith("The operation costs 92 point")
    assert (await send("guess", 1)).status_code == 400


@pytest.mark.parametrize("is_cached", [True, False])
async def test_a_cached_response_costs_as_much_as_the_first(make_server: MakeServer, is_cached: bool):
    server = await make_server(rate_limit_cost="100/minute", response_cache=is_cached)
    body = {"query": PAGE, "variables": {"n": 28}}
    responses = [await server.anonymous.post("/graphql", json=body) for _ in range(4)]
    assert [response.status_code for response in responses] == [200, 200, 200, 429]
    assert [get_remaining(response)["cost"] for response in responses] == [70, 40, 10, 10]
