"""Signed in by cookie, as browsers are: what is set, what it allows, and from where."""

import asyncio
from http.cookies import SimpleCookie

import pytest

from tests.support.accounts import Account
from tests.support.servers import ORIGIN, SECRET, Server
from tests.support.writing import CONTENT

PASSWORD = "correct horse battery"
ANN = {"name": "Ann", "email": "ann@example.com", "password": PASSWORD}
REGISTER = "mutation($input: RegisterInput!) { register(input: $input) { accessToken refreshToken user { name } } }"
LOGIN = 'mutation { login(input: {email: "ann@example.com", password: "correct horse battery"}) { accessToken } }'
VIEWER = {"query": "{ viewer { name } }"}
HOME = {"Origin": ORIGIN}


def cookies_set(response) -> dict[str, dict[str, str]]:
    """Each cookie of an answer, with its attributes."""
    jar = SimpleCookie()
    for line in response.headers.get_list("set-cookie"):
        jar.load(line)
    return {name: {"value": morsel.value, **{k: v for k, v in morsel.items() if v}} for name, morsel in jar.items()}


def cookie_of(account: Account) -> dict[str, str]:
    return {"Cookie": f"dovetail_session={account.access_token}"}


async def signed_in(browser, over: str) -> dict[str, str]:
    """Registers; the tokens that were answered."""
    if over == "rest":
        answer = await browser.post("/api/auth/register", json=ANN)
        return {**answer.json()["data"], "cookies": cookies_set(answer)}
    answer = await browser.post("/graphql", json={"query": REGISTER, "variables": {"input": ANN}})
    return {**answer.json()["data"]["register"], "cookies": cookies_set(answer)}


@pytest.mark.parametrize("over", ["graphql", "rest"])
async def test_signing_in_always_sets_the_cookies(server, over):
    """Out of reach of scripts, and not sent from other sites."""
    async with server.browser() as browser:
        answer = await signed_in(browser, over)
        assert answer["cookies"] == {
            "dovetail_session": {
                "value": answer["accessToken"],
                "path": "/",
                "max-age": "900",
                "httponly": True,
                "samesite": "lax",
            },
            "dovetail_refresh": {
                "value": answer["refreshToken"],
                "path": "/api/auth",
                "max-age": str(30 * 24 * 3600),
                "httponly": True,
                "samesite": "lax",
            },
        }
        again = await browser.post("/graphql", json={"query": LOGIN}, headers=HOME)
        assert set(cookies_set(again)) == {"dovetail_session", "dovetail_refresh"}


async def test_cookies_are_for_https_only_in_production(make_server):
    """`Secure`."""
    server = await make_server(environment="production")
    async with server.browser() as browser:
        answer = await signed_in(browser, "rest")
    assert [cookie.get("secure") for cookie in answer["cookies"].values()] == [True, True]


async def test_a_cookie_is_a_viewer(server):
    """In both protocols, for reading from anywhere and for writing from home."""
    async with server.browser() as browser:
        await signed_in(browser, "rest")
        assert (await browser.get("/api/auth/me")).json()["data"]["name"] == "Ann"
        assert (await browser.get("/graphql", params=VIEWER)).json() == {"data": {"viewer": {"name": "Ann"}}}
        assert (await browser.post("/graphql", json=VIEWER, headers=HOME)).json() == {
            "data": {"viewer": {"name": "Ann"}}
        }
        post = {"title": "By cookie", "content": CONTENT}
        assert (await browser.post("/api/posts", json=post, headers=HOME)).status_code == 201


WRITES = [
    ("POST", "/graphql", VIEWER),
    ("POST", "/api/posts", {"title": "Forged", "content": CONTENT}),
    ("PATCH", "/api/posts/01900000-0000-7000-8000-000000000000", {"title": "Forged"}),
    ("DELETE", "/api/posts/01900000-0000-7000-8000-000000000000", None),
]


@pytest.mark.parametrize("origin", ["https://evil.example", "null", None, "http://gateway.test.evil.example", ""])
@pytest.mark.parametrize(("method", "path", "body"), WRITES, ids=lambda value: str(value)[:20])
async def test_a_cookie_does_not_write_from_elsewhere(server, author, origin, method, path, body):
    """A foreign `Origin`, or none, is 403 in either protocol."""
    headers = {**cookie_of(author), **({} if origin is None else {"Origin": origin})}
    answer = await server.anonymous.request(method, path, json=body, headers=headers)
    said = answer.json()
    code = said["errors"][0]["extensions"]["code"] if path == "/graphql" else said["code"]
    assert (answer.status_code, code) == (403, "FORBIDDEN")


async def test_a_bearer_token_writes_from_anywhere(server, author):
    """It is not sent by browsers on their own."""
    headers = {**author.headers, "Origin": "https://evil.example"}
    answer = await server.anonymous.post("/api/posts", json={"title": "Mine", "content": CONTENT}, headers=headers)
    assert answer.status_code == 201


async def test_origins_that_are_allowed_write_by_cookie(make_server):
    """`CORS_ORIGINS` are home too."""
    server = await make_server(cors_origins=["https://www.example.com"])
    author = await server.account("Ann")
    headers = {**cookie_of(author), "Origin": "https://www.example.com"}
    answer = await server.anonymous.post("/api/posts", json={"title": "Mine", "content": CONTENT}, headers=headers)
    assert answer.status_code == 201
    assert answer.headers["Access-Control-Allow-Origin"] == "https://www.example.com"
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"


@pytest.mark.parametrize("value", ["rubbish", "a.b.c", "é".encode().decode("latin-1")])
async def test_a_stale_cookie_is_nobody_and_is_cleared(server, value):
    """No error: the browser simply is not signed in any more."""
    headers = {"Cookie": f"dovetail_session={value}".encode("latin-1")}
    answer = await server.anonymous.get("/api/posts", headers=headers)
    assert answer.status_code == 200
    assert cookies_set(answer)["dovetail_session"]["max-age"] == "0"
    over_graphql = await server.anonymous.post("/graphql", json=VIEWER, headers={**headers, **HOME})
    assert over_graphql.json() == {"data": {"viewer": None}}
    assert cookies_set(over_graphql)["dovetail_session"]["max-age"] == "0"


async def test_a_cookie_beside_a_bad_bearer_token_does_not_save_it(server, author):
    """The header is what was meant."""
    headers = {**cookie_of(author), "Authorization": "Bearer rubbish"}
    assert (await server.anonymous.get("/api/posts", headers=headers)).status_code == 401


async def test_a_browser_refreshes_and_signs_out_by_cookie(server):
    """Without a body; signing out clears both cookies."""
    async with server.browser() as browser:
        await signed_in(browser, "rest")
        refreshed = await browser.post("/api/auth/refresh", headers=HOME)
        assert (refreshed.status_code, set(cookies_set(refreshed))) == (200, {"dovetail_session", "dovetail_refresh"})
        out = await browser.post("/api/auth/logout", headers=HOME)
        assert out.status_code == 204
        assert {name: cookie["max-age"] for name, cookie in cookies_set(out).items()} == {
            "dovetail_session": "0",
            "dovetail_refresh": "0",
        }
        assert (await browser.get("/api/auth/me")).status_code == 401
        assert (await browser.post("/api/auth/refresh", headers=HOME)).status_code == 401


async def test_two_tabs_that_refresh_at_once_stay_signed_in(server):
    """One is refused, and keeps the cookies that the other was given."""
    async with server.browser() as browser:
        answer = await signed_in(browser, "rest")
        held = "; ".join(f"{name}={cookie['value']}" for name, cookie in answer["cookies"].items())
        alone = {**HOME, "Cookie": held}
        tabs = await asyncio.gather(*(server.anonymous.post("/api/auth/refresh", headers=alone) for _ in range(2)))
        first, second = sorted(tabs, key=lambda tab: tab.status_code)
        assert (first.status_code, second.status_code) == (200, 401)
        assert cookies_set(second) == {}
        now = "; ".join(f"{name}={cookie['value']}" for name, cookie in cookies_set(first).items())
        again = await server.anonymous.post("/api/auth/refresh", headers={**HOME, "Cookie": now})
        assert again.status_code == 200


@pytest.mark.parametrize("path", ["/api/auth/refresh", "/api/auth/logout"])
async def test_refreshing_and_signing_out_by_cookie_come_from_home(server, path):
    """Another site can do neither."""
    async with server.browser() as browser:
        await signed_in(browser, "rest")
        for headers in ({}, {"Origin": "https://evil.example"}):
            assert (await browser.post(path, headers=headers)).status_code == 403
        assert (await browser.get("/api/auth/me")).status_code == 200


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None]
)
@pytest.mark.parametrize("path", ["/graphql", "/api/auth/login", "/api/auth/register", "/api/posts"])
async def test_content_types_that_a_browser_sends_unasked_are_refused(server: Server, author, path, content_type):
    """415, so that no form of another site's gets through."""
    headers = {**author.headers, **({"Content-Type": content_type} if content_type else {})}
    answer = await server.anonymous.post(path, content=b'{"query": "{ __typename }"}', headers=headers)
    said = answer.json()
    code = said["errors"][0]["extensions"]["code"] if path == "/graphql" else said["code"]
    assert (answer.status_code, code) == (415, "UNSUPPORTED_MEDIA_TYPE")


async def test_no_cookie_lets_a_secret_out(server):
    """What signs tokens is in no answer."""
    async with server.browser() as browser:
        answer = await browser.post("/api/auth/register", json=ANN)
    assert SECRET not in answer.text + str(answer.headers)
