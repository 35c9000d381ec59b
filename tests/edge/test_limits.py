"""The four rate limits, in memory and in Redis."""

import asyncio
import time
import uuid

import httpx
import pytest

from gateway.graphql.documents.limits import DocumentLimits
from gateway.graphql.documents.operation import read
from gateway.limits import sliding_window
from gateway.limits.sliding_window import (
    RedisSlidingWindowLimiter,
    SlidingWindowLimiter,
    Window,
    create_redis_client,
)
from gateway.transports.login_attempts import sign_in_keys
from schema import schema
from tests.support.accounts import Account
from tests.support.patience import PATIENCE, within
from tests.support.servers import Server

pytestmark = pytest.mark.anyio

LOGIN = {"email": "nobody@example.com", "password": "wrong"}
GUESS = 'login(input: {email: "nobody@example.com", password: "wrong"}) { expiresIn }'

JOIN = 'register(input: {name: "a", email: "b", password: "c"}) { expiresIn }'


def address() -> str:
    """Somebody whom nobody else in this Redis is."""
    return str(uuid.uuid4())


async def statuses(client: httpx.AsyncClient, times: int, path: str = "/api/posts") -> list[int]:
    return [(await client.get(path)).status_code for _ in range(times)]


async def forwarded(client: httpx.AsyncClient, address: str) -> int:
    return (await client.get("/api/posts", headers={"X-Forwarded-For": address})).status_code


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis is waited for, however busy the machine: a server that gives it up counts by itself for a while."""
    monkeypatch.setattr(sliding_window, "REDIS_TIMEOUT_SECONDS", PATIENCE)


@pytest.fixture(params=["memory", "redis"])
def redis(request: pytest.FixtureRequest, redis_url: str, patient: None) -> str | None:
    """Where it is counted: in this process, or in Redis."""
    return redis_url if request.param == "redis" else None


@pytest.fixture
async def limited(make_server, redis: str | None) -> Server:
    """A server where three reads and two sign-ins a minute are allowed."""
    return await make_server(rate_limit_api="3/minute", rate_limit_auth="2/minute", redis_url=redis)


async def test_answers_say_where_a_caller_stands(limited: Server) -> None:
    """Refusals too, which add when to come back."""
    started = time.time()
    async with limited.browser(address=address()) as client:
        for remaining in (2, 1, 0):
            headers = (await client.get("/api/posts")).headers
            assert (headers["X-RateLimit-Limit"], headers["X-RateLimit-Remaining"]) == ("3", str(remaining))
            assert started <= int(headers["X-RateLimit-Reset"]) - 60 <= time.time() + 1
        refused = await client.get("/api/posts")
    wait = int(refused.headers["Retry-After"])
    assert refused.status_code == 429
    assert 60 - (time.time() - started) <= wait <= 61
    assert refused.headers["X-RateLimit-Remaining"] == "0"
    assert refused.json()["code"] == "RATE_LIMITED"
    assert refused.json()["details"] == {"retryAfter": wait}


async def test_who_waits_as_long_as_told_gets_in(make_server, redis: str | None) -> None:
    """However often they knocked meanwhile: a refusal does not lengthen the wait."""
    server = await make_server(rate_limit_api="3/2 seconds", redis_url=redis)
    async with server.browser(address=address()) as client:
        answers = await asyncio.gather(*(client.get("/api/posts") for _ in range(4)))
        assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 429]
        (refused,) = [answer for answer in answers if answer.status_code == 429]
        until = time.monotonic() + int(refused.headers["Retry-After"])
        while (await client.get("/api/posts/x")).status_code == 429:  # noqa: ASYNC110 - it is looked at from outside
            await asyncio.sleep(0.05)
        await asyncio.sleep(max(0, until - time.monotonic()))
        assert (await client.get("/api/posts")).status_code == 200


async def test_both_protocols_count_together_and_mistakes_count_too(limited: Server) -> None:
    """GraphQL has its own form of 429."""
    async with limited.browser(address=address()) as client:
        assert (await client.get("/api/posts/x")).status_code == 404
        assert (await client.get("/api/posts", headers={"Authorization": "Bearer x"})).status_code == 401
        assert (await client.post("/graphql", content=b"{")).status_code == 415
        refused = await client.post("/graphql", json={"query": "{ __typename }"})
    assert refused.status_code == 429
    (error,) = refused.json()["errors"]
    wait = int(refused.headers["Retry-After"])
    extensions = {"code": "RATE_LIMITED", "status": 429, "details": {"retryAfter": wait}}
    assert error["extensions"] == extensions | {"requestId": refused.headers["X-Request-ID"]}


async def test_viewers_count_for_themselves(limited: Server, author: Account, stranger: Account) -> None:
    """Wherever they call from, and apart from others at the same address."""
    here = address()
    async with limited.browser(address=here) as one, limited.browser(address=address()) as other:
        assert [(await one.get("/api/posts", headers=author.headers)).status_code for _ in range(3)] == [200] * 3
        assert (await other.get("/api/posts", headers=author.headers)).status_code == 429
        assert (await one.get("/api/posts", headers=stranger.headers)).status_code == 200
        assert (await one.get("/api/posts")).status_code == 200


async def test_each_guess_at_a_password_counts(limited: Server) -> None:
    """Over REST one a request, over GraphQL one an alias, in one window, and none is made once it is full."""
    async with limited.browser(address=address()) as client:
        assert (await client.post("/api/auth/login", json=LOGIN)).status_code == 401
        two = {"query": f"mutation {{ a: {GUESS} b: {GUESS} }}"}
        refused = await client.post("/graphql", json=two)
        assert (refused.status_code, refused.headers["X-RateLimit-Limit"]) == (429, "2")
        assert (await client.post("/graphql", json={"query": f"mutation {{ {GUESS} }}"})).status_code == 200
        assert (await client.post("/api/auth/login", json=LOGIN)).status_code == 429


async def test_a_guess_counts_by_its_address_whoever_guesses(limited: Server, author: Account) -> None:
    """Accounts are free, and each would be another with so many guesses; over a socket likewise."""
    async with limited.browser(address=address()) as client:
        for viewer in (None, author):
            headers = viewer.headers if viewer else {}
            assert (await client.post("/api/auth/login", json=LOGIN, headers=headers)).status_code == 401
        guess = {"query": f"mutation {{ {GUESS} }}"}
        assert (await client.post("/api/auth/login", json=LOGIN, headers=author.headers)).status_code == 429
        assert (await client.post("/graphql", json=guess, headers=author.headers)).status_code == 429
    async with limited.browser(address=address()) as client:
        assert (await client.post("/api/auth/login", json=LOGIN, headers=author.headers)).status_code == 401


@pytest.mark.parametrize(
    ("one", "other", "are_the_same"),
    [
        ("2001:db8:1:2::1", "2001:DB8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.7", "192.0.2.7", True),
        ("192.0.2.7", "192.0.2.8", False),
    ],
)
async def test_a_network_of_ipv6_is_one_caller(make_server, one: str, other: str, are_the_same: bool) -> None:
    """A customer has 2^64 addresses of it."""
    server = await make_server(rate_limit_api="1/minute")
    async with server.browser(address=one) as first, server.browser(address=other) as second:
        assert (await first.get("/api/posts")).status_code == 200
        assert (await second.get("/api/posts")).status_code == (429 if are_the_same else 200)


async def test_what_is_not_counted(limited: Server) -> None:
    """Health, pages and preflights."""
    async with limited.browser(address=address()) as client:
        for path in ("/api/health", "/docs", "/openapi.json"):
            assert await statuses(client, 5, path) == [200] * 5
        assert (await client.get("/api/posts")).headers["X-RateLimit-Remaining"] == "2"


async def test_off_is_off(make_server) -> None:
    """Nothing is counted and nothing is said."""
    server = await make_server(rate_limit_api="off")
    response = await server.anonymous.get("/api/posts")
    assert "X-RateLimit-Limit" not in response.headers


async def test_two_windows_hold_together(make_server) -> None:
    """A request that one of them refuses is counted in neither."""
    server = await make_server(rate_limit_api="2/2 seconds; 3/hour")
    async with server.browser(address=address()) as client:
        answers = await asyncio.gather(*(client.get("/api/posts") for _ in range(3)))
        assert sorted(answer.status_code for answer in answers) == [200, 200, 429]
        await asyncio.sleep(2.1)
        response = await client.get("/api/posts")
        assert (response.status_code, response.headers["X-RateLimit-Remaining"]) == (200, "0")
        assert int((await client.get("/api/posts")).headers["Retry-After"]) > 3000


async def test_forwarded_addresses_count_behind_trusted_proxies_only(make_server) -> None:
    """Else anybody could be anybody."""
    trusting = await make_server(rate_limit_api="1/minute", trusted_proxies="10.0.0.0/8")
    async with trusting.browser(address="10.0.0.1") as proxy:
        assert [await forwarded(proxy, f"1.1.1.{n}") for n in (1, 2, 1)] == [200, 200, 429]
    async with trusting.browser(address="127.0.0.1") as liar:
        assert [await forwarded(liar, f"1.1.1.{n}") for n in (3, 4)] == [200, 429]


async def test_servers_share_a_window_in_redis(make_server, redis_url: str, patient: None) -> None:
    """What one has counted, the other knows."""
    caller = address()
    one = await make_server(rate_limit_api="2/minute", redis_url=redis_url)
    other = await make_server(rate_limit_api="2/minute", redis_url=redis_url)
    async with one.browser(address=caller) as first, other.browser(address=caller) as second:
        assert await statuses(first, 1) + await statuses(second, 2) == [200, 200, 429]


@pytest.mark.parametrize("away", ["refusing", "silent"])
async def test_without_redis_each_process_limits_by_itself(make_server, away: str) -> None:
    """Whether Redis refuses connections or just says nothing: one request waits a moment, the others not at all."""
    silent = await asyncio.start_server(lambda reader, writer: asyncio.sleep(3600), "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1] if away == "silent" else 1
    server = await make_server(rate_limit_api="3/minute", redis_url=f"redis://127.0.0.1:{port}/0")
    async with server.browser(address=address()) as client, within(1):
        assert await statuses(client, 4) == [200, 200, 200, 429]
    silent.close()


async def test_redis_is_used_again_once_it_is_back(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, patient: None
) -> None:
    """After a pause, in which nobody waits for it."""
    monkeypatch.setattr(sliding_window, "REDIS_RETRY_DELAY_SECONDS", 2 * PATIENCE)
    redis, window, key = create_redis_client(redis_url), Window(5, 60), address()
    shared = RedisSlidingWindowLimiter(redis)
    await shared.hit([window], key, 1)
    shared.mark_down(OSError())
    _, alone = await shared.hit([window], key, 1)
    shared.retry_at = time.monotonic()
    _, together = await shared.hit([window], key, 1)
    assert (alone.remaining, together.remaining, shared.retry_at) == (4, 3, 0.0)
    await redis.aclose()


async def test_callers_who_fell_silent_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory holds those of the last window, and never more than so many."""
    memory = SlidingWindowLimiter()
    for n in range(10):
        await memory.hit([Window(5, 60)], f"early {n}", 1)
    now = time.time()
    monkeypatch.setattr(sliding_window.time, "time", lambda: now + 61)
    for n in range(10):
        await memory.hit([Window(5, 60)], f"late {n}", 1)
    assert set(memory.usage[Window(5, 60)]) == {f"late {n}" for n in range(10)}
    monkeypatch.setattr(sliding_window, "MAX_KEYS_PER_WINDOW", 5)
    for n in range(10):
        await memory.hit([Window(5, 60)], f"later {n}", 1)
    assert len(memory.usage[Window(5, 60)]) <= 6


@pytest.mark.parametrize(
    ("document", "guesses"),
    [
        ("{ viewer { id } }", 0),
        ("query login { viewer { id } }", 0),
        (f"mutation {{ {GUESS} }}", 1),
        (f"mutation {{ {GUESS} {GUESS} }}", 1),
        (f"mutation {{ a: {GUESS} b: {GUESS} c: {JOIN} }}", 3),
        (f"mutation {{ ...F ...F }} fragment F on Mutation {{ a: {GUESS} ... on Mutation {{ b: {GUESS} }} ...G }}"
         f" fragment G on Mutation {{ c: {GUESS} }}", 3),
        (f"mutation {{ ... @include(if: false) {{ a: {GUESS} }} }}", 1),
    ],
)  # fmt: skip
async def test_the_guesses_in_a_document(document: str, guesses: int) -> None:
    """Each response key is one, wherever it stands."""
    assert len(sign_in_keys(read(schema._schema, DocumentLimits(), document))) == guesses


async def test_only_the_operation_that_is_asked_for_guesses() -> None:
    """Others in the document are not run."""
    document = f"mutation A {{ a: {GUESS} }} mutation B {{ b: {GUESS} c: {GUESS} }}"
    asked = [read(schema._schema, DocumentLimits(), document, name) for name in "AB"]
    assert [len(sign_in_keys(operation)) for operation in asked] == [1, 2]
