"""Rate limits: counted by viewer or address, told in headers, in memory and in Redis alike."""

import asyncio
import random
import time

import pytest

from gateway.limits import sliding_window
from models import new_id
from tests.support.callers import Refusal
from tests.support.patience import PATIENCE

LOGIN = 'login(input: {email: "nobody@example.com", password: "wrong password"}) { accessToken }'


def an_address() -> str:
    """In nobody else's network: a shared Redis remembers callers of other runs."""
    return f"2001:{random.randrange(16**4):x}:{random.randrange(16**4):x}:{random.randrange(16**4):x}::1"


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis is waited for, however busy the machine: a server that gives it up counts by itself for a while."""
    monkeypatch.setattr(sliding_window, "REDIS_TIMEOUT_SECONDS", PATIENCE)


@pytest.fixture(params=["memory", "redis"])
def shared(request: pytest.FixtureRequest, patient: None) -> dict[str, str]:
    """Settings for limits kept in this process, and in Redis."""
    return {"redis_url": request.getfixturevalue("redis_url")} if request.param == "redis" else {}


def standing(answer) -> tuple[int, int]:
    assert abs(int(answer.headers["X-RateLimit-Reset"]) - time.time()) <= 61
    return int(answer.headers["X-RateLimit-Limit"]), int(answer.headers["X-RateLimit-Remaining"])


async def test_callers_are_told_where_they_stand_and_then_refused(make_server, shared):
    """429 in REST's form, with how long to wait."""
    server = await make_server(rate_limit_api="3/minute", **shared)
    started = time.time()
    async with server.browser(address=an_address()) as http:
        answers = [await http.get("/api/posts") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert [standing(answer) for answer in answers] == [(3, 2), (3, 1), (3, 0), (3, 0), (3, 0)]
    wait = int(answers[3].headers["Retry-After"])
    assert answers[3].json() == {
        "error": "Too many requests",
        "code": "RATE_LIMITED",
        "details": {"retryAfter": wait},
        "requestId": answers[3].headers["X-Request-ID"],
    }
    assert 60 - (time.time() - started) <= wait <= 61


async def test_graphql_is_refused_in_its_own_form(make_server, shared):
    """429 too, in either media type; both protocols count together."""
    server = await make_server(rate_limit_api="2/minute", **shared)
    async with server.browser(address=an_address()) as http:
        await http.get("/api/posts")
        first = await http.post("/graphql", json={"query": "{ __typename }"})
        assert (first.status_code, standing(first)) == (200, (2, 0))
        for accept in ("application/json", "application/graphql-response+json"):
            answer = await http.post("/graphql", json={"query": "{ __typename }"}, headers={"Accept": accept})
            (error,) = answer.json()["errors"]
            wait = int(answer.headers["Retry-After"])
            assert (answer.status_code, error["message"]) == (429, "Too many requests")
            assert error["extensions"] == {
                "code": "RATE_LIMITED",
                "status": 429,
                "details": {"retryAfter": wait},
                "requestId": answer.headers["X-Request-ID"],
            }


async def test_retry_after_is_true(make_server, shared):
    """Who waits that long is let through; a refused request does not lengthen the wait."""
    server = await make_server(rate_limit_api="2/2 seconds", **shared)
    async with server.browser(address=an_address()) as http:
        answers = await asyncio.gather(*(http.get("/api/posts") for _ in range(6)))
        assert sorted(answer.status_code for answer in answers) == [200] * 2 + [429] * 4
        wait = max(int(answer.headers["Retry-After"]) for answer in answers if answer.status_code == 429)
        assert 1 <= wait <= 3
        await asyncio.sleep(wait)
        assert (await http.get("/api/posts")).status_code == 200


async def test_each_viewer_and_each_address_counts_alone(make_server, shared):
    """A viewer is one wherever they are; nobodies are told apart by address."""
    server = await make_server(rate_limit_api="1/minute", **shared)
    ann, bob = await server.account("Ann"), await server.account("Bob")
    async with server.browser(address=an_address()) as here, server.browser(address=an_address()) as there:
        statuses = [
            (await here.get("/api/posts")).status_code,
            (await there.get("/api/posts")).status_code,
            (await here.get("/api/posts", headers=ann.headers)).status_code,
            (await there.get("/api/posts", headers=bob.headers)).status_code,
            (await there.get("/api/posts", headers=ann.headers)).status_code,
            (await here.get("/api/posts")).status_code,
        ]
    assert statuses == [200, 200, 200, 200, 429, 429]


async def test_signing_in_has_a_limit_of_its_own(make_server, shared):
    """Wrong passwords count, over REST and GraphQL together."""
    server = await make_server(rate_limit_auth="3/minute", **shared)
    wrong = {"email": "nobody@example.com", "password": "wrong password"}
    async with server.browser(address=an_address()) as http:
        rest = [(await http.post("/api/auth/login", json=wrong)).status_code for _ in range(2)]
        graphql = [await http.post("/graphql", json={"query": f"mutation {{ {LOGIN} }}"}) for _ in range(2)]
        elsewhere = await http.get("/api/posts")
    assert (rest, [code(answer) for answer in graphql]) == ([401, 401], ["UNAUTHORIZED", "RATE_LIMITED"])
    assert graphql[1].status_code == 429
    assert elsewhere.status_code == 200


def code(answer) -> str:
    return answer.json()["errors"][0]["extensions"]["code"]


@pytest.mark.parametrize(
    "document",
    [
        f"mutation {{ a: {LOGIN} b: {LOGIN} c: {LOGIN} d: {LOGIN} }}",
        f"mutation {{ ...f }} fragment f on Mutation {{ a: {LOGIN} b: {LOGIN} ... {{ c: {LOGIN} d: {LOGIN} }} }}",
    ],
    ids=["aliases", "fragments"],
)
async def test_each_alias_of_a_sign_in_counts(make_server, shared, document):
    """One document is no way to try four passwords at the price of one."""
    server = await make_server(rate_limit_auth="3/minute", **shared)
    async with server.browser(address=an_address()) as http:
        answer = await http.post("/graphql", json={"query": document})
    assert (answer.status_code, code(answer)) == (429, "RATE_LIMITED")


async def test_preflights_and_health_are_not_counted(make_server, shared):
    """Nor are they refused."""
    server = await make_server(rate_limit_api="1/minute", cors_origins=["https://www.example.com"], **shared)
    preflight = {"Origin": "https://www.example.com", "Access-Control-Request-Method": "POST"}
    async with server.browser(address=an_address()) as http:
        for _ in range(3):
            assert (await http.options("/graphql", headers=preflight)).status_code == 200
            assert (await http.get("/api/health")).status_code == 200
        assert standing(await http.get("/api/posts")) == (1, 0)
        assert (await http.options("/api/posts", headers=preflight)).status_code == 200
        assert (await http.get("/api/health/live")).status_code == 200


async def test_requests_that_are_refused_count(make_server, shared):
    """A 404 is a request."""
    server = await make_server(rate_limit_api="2/minute", **shared)
    async with server.browser(address=an_address()) as http:
        statuses = [(await http.get(f"/api/posts/{new_id()}")).status_code for _ in range(3)]
    assert statuses == [404, 404, 429]


async def test_a_forwarded_address_is_believed_only_from_a_trusted_proxy(make_server, shared):
    """Else anybody could be anybody."""
    proxy = an_address()
    for trusted, expected in ([], [200, 429]), ([proxy], [200, 200]):
        server = await make_server(rate_limit_api="1/minute", trusted_proxies=trusted, **shared)
        address = proxy if trusted else an_address()
        async with server.browser(address=address) as http:
            answers = [await http.get("/api/posts", headers={"X-Forwarded-For": an_address()}) for _ in range(2)]
        assert [answer.status_code for answer in answers] == expected


async def test_many_at_once_pass_no_more_than_the_limit(make_server, shared):
    """Counting is atomic."""
    server = await make_server(rate_limit_api="5/minute", **shared)
    async with server.browser(address=an_address()) as http:
        answers = await asyncio.gather(*(http.get("/api/posts") for _ in range(15)))
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [429] * 10


async def test_two_processes_share_their_limits_through_redis(make_server, redis_url, patient):
    """What one counted, the other knows."""
    servers = [await make_server(rate_limit_api="2/minute", redis_url=redis_url) for _ in range(2)]
    address, statuses = an_address(), []
    for server in [*servers, *servers]:
        async with server.browser(address=address) as http:
            statuses.append((await http.get("/api/posts")).status_code)
    assert statuses == [200, 200, 429, 429]


async def test_without_redis_each_process_limits_by_itself(make_server):
    """A Redis that is away costs neither answers nor limits."""
    server = await make_server(rate_limit_api="2/minute", redis_url="redis://127.0.0.1:1")
    async with server.browser(address=an_address()) as http:
        statuses = [(await http.get("/api/posts")).status_code for _ in range(4)]
    assert statuses == [200, 200, 429, 429]


async def test_a_limit_that_is_off_is_no_limit(graphql):
    """And says nothing in the headers."""
    answer = await graphql.send("{ __typename }")
    assert not [name for name in answer.headers if name.startswith("x-ratelimit")]


async def test_a_wrong_password_after_too_many_is_not_even_tried(make_server, shared):
    """Over REST the answer is the limit's, in its words."""
    server = await make_server(rate_limit_auth="1/minute", **shared)
    async with server.browser(address=an_address()) as http:
        wrong = {"email": "nobody@example.com", "password": "wrong password"}
        await http.post("/api/auth/login", json=wrong)
        answer = await http.post("/api/auth/login", json=wrong)
    said = answer.json()
    assert Refusal(said["code"], said["error"]) == Refusal("RATE_LIMITED", "Too many requests")
