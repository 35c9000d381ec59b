"""The cost budget: one for each client over all protocols."""

import re
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import httpx
import pytest

from gateway.rest.framework.queries import POST_PAGE_QUERY, POST_QUERY
from tests.support.accounts import Account
from tests.support.addresses import unique_address
from tests.support.servers import Server
from tests.support.writing import CONTENT

pytestmark = pytest.mark.anyio

MakeServer: TypeAlias = Callable[..., Awaitable[Server]]

PAGE = "query($n: Int) { posts(first: $n) { nodes { id } } }"
"""Costs 2 points, and 1 for each row."""
POST = {"title": "A post", "content": CONTENT, "status": "PUBLISHED"}
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
            await client.get("/api/posts?limit=8"),
            await client.post("/graphql", json=body),
            await client.post("/graphql", json=body),
            await client.get("/api/posts?limit=50"),
        ]
        assert [response.status_code for response in responses] == [200, 200, 200, 429, 429]
        assert [get_remaining(response) for response in responses] == [
            {"api": 49, "cost": 70},
            {"api": 48, "cost": 31},
            {"api": 47, "cost": 1},
            {"api": 46, "cost": 1},
            {"api": 45, "cost": 1},
        ]
        for rejected in responses[3:]:
            assert 1 <= int(rejected.headers["retry-after"]) <= 61
        assert responses[4].json()["code"] == responses[3].json()["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
        assert responses[0].headers["ratelimit-policy"] == '"api";q=50;w=60, "cost";q=100;w=60'
        assert responses[0].headers["x-ratelimit-limit"] == "50"
        assert (await client.post("/graphql", json={"query": "{ __typename }"})).status_code == 200


async def test_text_search_costs_more_in_both_protocols(make_server: MakeServer):
    """20 points for each of: finding a page's rows, counting all matches, and counting the pages of REST."""
    server = await make_server(rate_limit_cost="300/minute")
    client, search = server.anonymous, '{ posts(first: 8, filter: {q: "a"}) { nodes { id } totalCount } }'
    assert get_remaining(await client.post("/graphql", json={"query": search}))["cost"] == 300 - (2 + 8 + 10 + 2 * 20)
    for times in (1, 2):
        response = await client.get("/api/posts?limit=8&q=a")
        assert get_remaining(response)["cost"] == 240 - times * (23 + 2 * 8 + 3 * 20)
    assert get_remaining(await client.get("/api/posts?limit=8"))["cost"] == 42 - (23 + 2 * 8)


@pytest.mark.parametrize("cached", [True, False])
async def test_a_rest_read_costs_as_much_as_its_graphql_query(make_server: MakeServer, cached: bool):
    """For an anonymous caller and for a viewer, with and without a cached response."""
    server = await make_server(rate_limit_cost="1000/minute", response_cache=cached)
    author = await server.account("Ann")
    created = await server.anonymous.post("/api/posts", json=POST, headers=author.headers)
    id = created.json()["data"]["id"]

    async def spend(method: str, path: str, headers: dict[str, str], **options: Any) -> int:
        before = get_remaining(await server.anonymous.get("/api/posts?limit=1", headers=headers))["cost"]
        response = await server.anonymous.request(method, path, headers=headers, **options)
        assert response.status_code == 200
        return before - get_remaining(response)["cost"]

    for headers in ({}, author.headers):
        for path, query, variables in (
            ("/api/posts?limit=3&q=a", POST_PAGE_QUERY, {"limit": 3, "filter": {"q": "a"}}),
            (f"/api/posts/{id}", POST_QUERY, {"id": id}),
        ):
            body = {"query": query.source, "variables": variables}
            cost = await spend("POST", "/graphql", headers, json=body)
            assert [await spend("GET", path, headers) for _ in range(2)] == [cost, cost]


async def test_a_write_beyond_the_budget_is_not_done(make_server: MakeServer):
    """In either protocol. Each viewer has a budget."""
    server = await make_server(rate_limit_cost="15/minute")
    author, client = await server.account("Ann"), server.anonymous
    post = POST
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
