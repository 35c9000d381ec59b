"""Rate limits over HTTP: who is counted together, what responses say, and what happens without Redis."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import httpx
import pytest

from gateway.limits import parse_windows
from gateway.limits.sliding_window import Window
from tests.support.accounts import Account
from tests.support.addresses import unique_address
from tests.support.servers import Server
from tests.support.waiting import within

pytestmark = pytest.mark.anyio

MakeServer: TypeAlias = Callable[..., Awaitable[Server]]

WRONG_PASSWORD = {"email": "nobody@example.com", "password": "wrong password"}
LOGIN = 'login(input: {email: "nobody@example.com", password: "wrong password"}) { expiresIn }'


async def get_statuses(client: httpx.AsyncClient, times: int, path: str = "/api/posts") -> list[int]:
    return [(await client.get(path)).status_code for _ in range(times)]


async def get_status(client: httpx.AsyncClient, **headers: str) -> int:
    return (await client.get("/api/posts", headers=headers)).status_code


async def mutate(client: httpx.AsyncClient, *fields: str, **options: dict[str, str]) -> httpx.Response:
    return await client.post("/graphql", json={"query": f"mutation {{ {' '.join(fields)} }}"}, **options)


def get_error_code(response: httpx.Response) -> str:
    return response.json()["errors"][0]["extensions"]["code"]


async def test_responses_say_what_is_left_and_429_when_to_come_back(make_server: MakeServer, store: dict[str, str]):
    server = await make_server(rate_limit_api="3/minute", **store)
    started = time.time()
    async with server.browser(address=unique_address()) as client:
        responses = [await client.get("/api/posts") for _ in range(5)]
    assert [response.status_code for response in responses] == [200, 200, 200, 429, 429]
    for response, remaining in zip(responses, "21000", strict=True):
        headers = response.headers
        assert (headers["X-RateLimit-Limit"], headers["X-RateLimit-Remaining"]) == ("3", remaining)
        assert started <= int(headers["X-RateLimit-Reset"]) - 60 <= time.time() + 1
    for response in responses[3:]:
        retry_after = int(response.headers["Retry-After"])
        assert 60 - (time.time() - started) <= retry_after <= 61
        assert response.json() == {
            "error": "Too many requests",
            "code": "RATE_LIMITED",
            "details": {"retryAfter": retry_after},
            "requestId": response.headers["X-Request-ID"],
        }


async def test_a_client_that_waits_for_retry_after_is_served(make_server: MakeServer, store: dict[str, str]):
    """Requests that are rejected meanwhile do not lengthen the wait."""
    server = await make_server(rate_limit_api="3/2 seconds", **store)
    async with server.browser(address=unique_address()) as client:
        responses = await asyncio.gather(*(client.get("/api/posts") for _ in range(6)))
        retry_after = max(int(response.headers.get("Retry-After", 0)) for response in responses)
        assert sorted(response.status_code for response in responses) == [200] * 3 + [429] * 3
        assert 1 <= retry_after <= 3
        retry_at = time.monotonic() + retry_after
        while (await client.get("/api/posts/x")).status_code == 429:  # noqa: ASYNC110 - looked at from outside
            await asyncio.sleep(0.05)
        await asyncio.sleep(max(0, retry_at - time.monotonic()))
        assert await get_status(client) == 200


async def test_rest_and_graphql_share_a_limit_and_failures_count(make_server: MakeServer, store: dict[str, str]):
    """GraphQL has its own form of 429, in either media type."""
    server = await make_server(rate_limit_api="4/minute", **store)
    query = {"query": "{ __typename }"}
    async with server.browser(address=unique_address()) as client:
        assert await get_statuses(client, 1, "/api/posts/x") == [404]
        assert await get_status(client, Authorization="Bearer x") == 401
        assert (await client.post("/graphql", content=b"{")).status_code == 415
        allowed = await client.post("/graphql", json=query)
        assert (allowed.status_code, allowed.headers["X-RateLimit-Remaining"]) == (200, "0")
        for accept in ("application/json", "application/graphql-response+json"):
            rejected = await client.post("/graphql", json=query, headers={"Accept": accept})
            (error,) = rejected.json()["errors"]
            assert (rejected.status_code, error["message"]) == (429, "Too many requests")
            assert error["extensions"] == {
                "code": "RATE_LIMITED",
                "status": 429,
                "details": {"retryAfter": int(rejected.headers["Retry-After"])},
                "requestId": rejected.headers["X-Request-ID"],
            }


async def test_each_viewer_and_each_address_has_its_own_limit(
    make_server: MakeServer, store: dict[str, str], author: Account, stranger: Account
):
    """A viewer has one limit at all addresses, apart from anonymous clients there."""
    server = await make_server(rate_limit_api="1/minute", **store)
    async with (
        server.browser(address=unique_address()) as here,
        server.browser(address=unique_address()) as there,
    ):
        assert [await get_status(here), await get_status(there)] == [200, 200]
        assert [await get_status(here, **author.headers), await get_status(there, **stranger.headers)] == [200, 200]
        assert [await get_status(there, **author.headers), await get_status(here)] == [429, 429]


@pytest.mark.parametrize(
    ("address", "other_address", "share_a_limit"),
    [
        ("2001:db8:1:2::1", "2001:DB8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.7", "192.0.2.7", True),
        ("192.0.2.7", "192.0.2.8", False),
    ],
)
async def test_an_ipv6_network_of_64_bits_is_one_client(
    make_server: MakeServer, address: str, other_address: str, share_a_limit: bool
):
    """One customer has all of its 2^64 addresses."""
    server = await make_server(rate_limit_api="1/minute")
    async with server.browser(address=address) as client, server.browser(address=other_address) as other:
        assert [await get_status(client), await get_status(other)] == [200, 429 if share_a_limit else 200]


async def test_x_forwarded_for_counts_from_trusted_proxies_only(make_server: MakeServer):
    """Otherwise every client could choose its address."""
    server = await make_server(rate_limit_api="1/minute", trusted_proxies="10.0.0.0/8")
    for address, expected in ("10.0.0.1", [200, 200, 429]), ("127.0.0.1", [200, 429, 429]):
        async with server.browser(address=address) as client:
            forwarded = ("1.1.1.1", "1.1.1.2", "1.1.1.1")
            assert [await get_status(client, **{"X-Forwarded-For": each}) for each in forwarded] == expected


async def test_login_attempts_have_a_limit_over_both_protocols(make_server: MakeServer, store: dict[str, str]):
    server = await make_server(rate_limit_auth="3/minute", rate_limit_api="20/minute", **store)
    async with server.browser(address=unique_address()) as client:
        for _ in range(2):
            assert (await client.post("/api/auth/login", json=WRONG_PASSWORD)).status_code == 401
        assert [get_error_code(await mutate(client, LOGIN)) for _ in range(2)] == ["UNAUTHORIZED", "RATE_LIMITED"]
        rejected = await client.post("/api/auth/login", json=WRONG_PASSWORD)
        assert (rejected.status_code, rejected.json()["error"]) == (429, "Too many requests")
        assert await get_status(client) == 200


@pytest.mark.parametrize(
    "document",
    [
        f"mutation {{ a: {LOGIN} b: {LOGIN} c: {LOGIN} d: {LOGIN} }}",
        f"mutation {{ ...f }} fragment f on Mutation {{ a: {LOGIN} b: {LOGIN} ... {{ c: {LOGIN} d: {LOGIN} }} }}",
    ],
    ids=["aliases", "fragments"],
)
async def test_each_alias_of_login_is_an_attempt(make_server: MakeServer, store: dict[str, str], document: str):
    server = await make_server(rate_limit_auth="3/minute", **store)
    async with server.browser(address=unique_address()) as client:
        response = await client.post("/graphql", json={"query": document})
    assert (response.status_code, get_error_code(response)) == (429, "RATE_LIMITED")


async def test_a_rejected_document_uses_up_no_attempts(make_server: MakeServer, store: dict[str, str]):
    server = await make_server(rate_limit_auth="2/minute", rate_limit_api="20/minute", **store)
    async with server.browser(address=unique_address()) as client:
        assert (await client.post("/api/auth/login", json=WRONG_PASSWORD)).status_code == 401
        rejected = await mutate(client, f"a: {LOGIN}", f"b: {LOGIN}")
        assert (rejected.status_code, rejected.headers["X-RateLimit-Limit"]) == (429, "2")
        assert (await mutate(client, LOGIN)).status_code == 200
        assert (await client.post("/api/auth/login", json=WRONG_PASSWORD)).status_code == 429


async def test_login_attempts_count_by_address_for_every_viewer(
    make_server: MakeServer, store: dict[str, str], author: Account
):
    """Accounts are free to register: counted by viewer, each would bring further attempts."""
    server = await make_server(rate_limit_auth="2/minute", **store)

    async def log_in(client: httpx.AsyncClient, **headers: str) -> int:
        return (await client.post("/api/auth/login", json=WRONG_PASSWORD, headers=headers)).status_code

    async with server.browser(address=unique_address()) as client:
        assert [await log_in(client), await log_in(client, **author.headers)] == [401, 401]
        assert await log_in(client, **author.headers) == 429
        assert (await mutate(client, LOGIN, headers=author.headers)).status_code == 429
    async with server.browser(address=unique_address()) as client:
        assert await log_in(client, **author.headers) == 401


async def test_health_pages_and_preflights_are_exempt(make_server: MakeServer, store: dict[str, str]):
    origin = "https://www.example.com"
    server = await make_server(rate_limit_api="1/minute", cors_origins=[origin], **store)
    preflight = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    async with server.browser(address=unique_address()) as client:

        async def check_exempt() -> None:
            for path in ("/api/health", "/api/health/live", "/docs", "/openapi.json"):
                assert await get_statuses(client, 3, path) == [200] * 3
            for path in ("/graphql", "/api/posts"):
                assert (await client.options(path, headers=preflight)).status_code == 200

        await check_exempt()
        assert (await client.get("/api/posts")).headers["X-RateLimit-Remaining"] == "0"
        await check_exempt()


async def test_a_limit_that_is_off_has_no_headers(make_server: MakeServer):
    server = await make_server(rate_limit_api="off", rate_limit_cost="off")
    for response in (
        await server.anonymous.get("/api/posts"),
        await server.anonymous.post("/graphql", json={"query": "{ __typename }"}),
    ):
        assert response.status_code == 200
        assert not [name for name in response.headers if "ratelimit" in name]


async def test_concurrent_requests_do_not_exceed_the_limit(make_server: MakeServer, store: dict[str, str]):
    server = await make_server(rate_limit_api="5/minute", **store)
    async with server.browser(address=unique_address()) as client:
        responses = await asyncio.gather(*(client.get("/api/posts") for _ in range(15)))
    assert sorted(response.status_code for response in responses) == [200] * 5 + [429] * 10


async def test_processes_share_a_limit_in_redis(make_server: MakeServer, redis_url: str, long_redis_timeout: None):
    servers = [await make_server(rate_limit_api="2/minute", redis_url=redis_url) for _ in range(2)]
    address, statuses = unique_address(), []
    for server in [*servers, *servers]:
        async with server.browser(address=address) as client:
            statuses.append(await get_status(client))
    assert statuses == [200, 200, 429, 429]


@pytest.mark.parametrize("failure", ["refuses connections", "is silent"])
async def test_without_redis_each_process_limits_by_itself(make_server: MakeServer, failure: str):
    """One request waits for Redis up to its timeout, the others do not wait."""
    silent = await asyncio.start_server(lambda reader, writer: asyncio.sleep(3600), "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1] if failure == "is silent" else 1
    server = await make_server(rate_limit_api="3/minute", redis_url=f"redis://127.0.0.1:{port}/0")
    async with server.browser(address=unique_address()) as client, within(1):
        assert await get_statuses(client, 4) == [200, 200, 200, 429]
    silent.close()


def test_a_window_that_is_declared_twice_counts_once():
    assert parse_windows("2/minute; 2 per 60 seconds; 3/hour") == [Window(2, 60), Window(3, 3600)]


def test_slowapi_limits_nothing_itself_whatever_the_environment_says():
    """Its check would block the event loop."""
    code = "from gateway.limits import slowapi_limiter; print(slowapi_limiter.enabled)"
    environment = os.environ | {"RATELIMIT_ENABLED": "true"}
    process = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert process.stdout == "False\n"
