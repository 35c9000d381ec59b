"""One budget of points for each caller, over every protocol, told in the IETF draft's headers."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from gateway.limits import sliding_window
from gateway.limits.sliding_window import RedisSlidingWindowLimiter, SlidingWindowLimiter, Window
from models import new_id
from tests.behaviour.test_limits import an_address
from tests.support.accounts import Account
from tests.support.servers import Server
from tests.support.writing import CONTENT

pytestmark = pytest.mark.anyio

PAGE = "query($n: Int) { posts(first: $n) { nodes { id } } }"
"""Two points and one for each row."""
FIELD = re.compile(r'"(\w+)";r=(\d+);t=(\d+)')

Make = Callable[..., Awaitable[Server]]


@pytest.fixture(params=["memory", "redis"])
def shared(request: pytest.FixtureRequest) -> dict[str, str]:
    """Settings for budgets kept in this process, and in Redis."""
    return {"redis_url": request.getfixturevalue("redis_url")} if request.param == "redis" else {}


def left(answer: Any) -> dict[str, int]:
    """What is left of each limit, as the answer tells."""
    return {name: int(remaining) for name, remaining, _ in FIELD.findall(answer.headers["ratelimit"])}


async def test_graphql_and_rest_draw_on_one_budget(make_server: Make, shared: dict[str, str]):
    """What each operation costs, by what it may answer; who has no more is told when there will be."""
    server = await make_server(rate_limit_cost="100/minute", rate_limit_api="50/minute", **shared)
    async with server.browser(address=an_address()) as http:
        body = {"query": PAGE, "variables": {"n": 28}}
        answers = [
            await http.post("/graphql", json=body),
            await http.get("/api/posts?limit=10"),
            await http.post("/graphql", json=body),
            await http.post("/graphql", json=body),
            await http.get("/api/posts?limit=50"),
        ]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
        assert [left(answer) for answer in answers] == [
            {"api": 49, "cost": 70},
            {"api": 48, "cost": 36},
            {"api": 47, "cost": 6},
            {"api": 46, "cost": 6},
            {"api": 45, "cost": 6},
        ]
        for refused in answers[3:]:
            assert 1 <= int(refused.headers["retry-after"]) <= 120
        assert answers[4].json()["code"] == answers[3].json()["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
        assert answers[0].headers["ratelimit-policy"] == '"api";q=50;w=60, "cost";q=100;w=60'
        assert answers[0].headers["x-ratelimit-limit"] == "50"
        assert (await http.post("/graphql", json={"query": "{ __typename }"})).status_code == 200


async def test_looking_for_text_costs_more(make_server: Make):
    """Over either protocol: looking for a page's rows, and for all of them to count them."""
    server = await make_server(rate_limit_cost="300/minute")
    http, sought = server.anonymous, '{ posts(first: 8, filter: {q: "a"}) { nodes { id } totalCount } }'
    assert left(await http.post("/graphql", json={"query": sought}))["cost"] == 300 - (2 + 8 + 10 + 2 * 20)
    for times in (1, 2):
        answer = await http.get("/api/posts?limit=8&q=a")
        assert left(answer)["cost"] == 240 - times * (14 + 2 * 8 + 2 * 20)
    assert left(await http.get("/api/posts?limit=8"))["cost"] == 100 - (14 + 2 * 8)


async def test_what_is_refused_does_nothing(make_server: Make):
    """A write for which there are no points is not done, in either protocol; each viewer has a budget of their own."""
    server = await make_server(rate_limit_cost="15/minute")
    author: Account = await server.account("Ann")
    http, post = server.anonymous, {"title": "A post", "content": CONTENT}
    mutation = "mutation($input: CreatePostInput!) { createPost(input: $input) { id } }"

    async def over_graphql(viewer: Account) -> int:
        body = {"query": mutation, "variables": {"input": post}}
        return (await http.post("/graphql", json=body, headers=viewer.headers)).status_code

    async def over_rest(viewer: Account) -> int:
        return (await http.post("/api/posts", json=post, headers=viewer.headers)).status_code

    assert [await over_graphql(author), await over_graphql(author), await over_rest(author)] == [200, 429, 429]
    assert await over_rest(await server.account("Sam")) == 201
    pages = (await http.get("/api/posts", headers=author.headers)).status_code
    assert pages == 429


async def test_without_a_budget_nothing_is_counted_in_points(make_server: Make):
    """Nor told."""
    server = await make_server(rate_limit_cost="off", rate_limit_api="5/minute")
    answer = await server.anonymous.get("/api/posts")
    assert list(left(answer)) == ["api"]
    server = await make_server(rate_limit_cost="off", rate_limit_api="off")
    assert not [name for name in (await server.anonymous.get("/api/posts")).headers if "ratelimit" in name]


async def test_an_operation_says_what_it_costs_when_asked(make_server: Make):
    """With its answer, or instead of it, which is free; what is wrong with it is told either way."""
    server = await make_server(rate_limit_cost="50/minute", max_cost=40)

    async def ask(wish: str, rows: int) -> Any:
        body = {"query": PAGE, "variables": {"n": rows}}
        return await server.anonymous.post("/graphql", json=body, headers={"GraphQL-Cost": wish})

    cost = {"cost": {"requested": 30, "maximum": 40}}
    assert (await ask("report", 28)).json() == {"data": {"posts": {"nodes": []}}, "extensions": cost}
    for _ in range(3):
        assert (await ask("validate", 28)).json() == {"extensions": cost}
    assert left(await ask("report", 5))["cost"] == 13
    refused = await ask("validate", 90)
    assert (refused.status_code, refused.json()["errors"][0]["message"][:28]) == (400, "The operation costs 92 point")
    assert (await ask("guess", 1)).status_code == 400


@pytest.mark.parametrize("cached", [True, False])
async def test_an_answer_costs_the_same_when_it_is_given_again(make_server: Make, cached: bool):
    """Points are what was asked for, whatever it took to answer."""
    server = await make_server(rate_limit_cost="100/minute", response_cache=cached)
    body = {"query": PAGE, "variables": {"n": 28}}
    answers = [await server.anonymous.post("/graphql", json=body) for _ in range(4)]
    assert [(answer.status_code, left(answer)["cost"]) for answer in answers] == [
        (200, 70),
        (200, 40),
        (200, 10),
        (429, 10),
    ]


@settings(max_examples=100, deadline=None)
@given(hits=st.lists(st.tuples(st.integers(0, 40_000), st.integers(1, 60)), max_size=40))
def test_no_window_ever_exceeds_its_limit(hits: list[tuple[int, int]]):
    """Wherever the window begins. A rejected hit fits at the time that its status gives."""
    window, limiter, clock, allowed = Window(100, 60), SlidingWindowLimiter(), 6000.0, []

    def hit(cost: int) -> bool:
        is_allowed, status = limiter.hit_local([window], "key", cost)
        if is_allowed:
            allowed.append((clock, cost))
        assert sum(cost for at, cost in allowed if at > clock - 60) <= 100
        assert clock < status.reset <= clock + 61
        return is_allowed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sliding_window.time, "time", lambda: clock)
        for milliseconds, cost in hits:
            clock += milliseconds / 1000
            if not hit(cost):
                clock = limiter.hit_local([window], "key", cost)[1].reset
                assert hit(cost)


async def test_redis_counts_as_memory_does(redis_url: str, monkeypatch: pytest.MonkeyPatch):
    """Equal hits have equal results, in several windows and as time goes by."""
    redis = Redis.from_url(redis_url)
    windows, key = [Window(1000, 60), Window(1500, 3600)], new_id().hex
    local, shared = SlidingWindowLimiter(), RedisSlidingWindowLimiter(redis)
    clock = 1_800_000_000.0
    monkeypatch.setattr(sliding_window.time, "time", lambda: clock)
    outcomes = []
    for seconds, cost in [
        (0, 400),
        (1.5, 500),
        (9, 200),
        (0, 100),
        (0, 1),
        (51, 400),
        (1, 300),
        (60, 300),
        (3600, 2000),
    ]:
        clock += seconds
        expected = local.hit_local(windows, key, cost)
        assert await shared.hit_redis(windows, key, cost) == expected
        outcomes.append(expected[0])
    assert outcomes == [True, True, False, True, False, True, False, False, False]
    await redis.aclose()
