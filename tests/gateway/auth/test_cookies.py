"""Authentication by cookie: which cookies are set, what they allow, and from which origins."""

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
SAME_ORIGIN = {"Origin": ORIGIN}


def get_cookies(response) -> dict[str, dict[str, str]]:
    """Return the value and attributes of each cookie that a response sets."""
    jar = SimpleCookie()
    for line in response.headers.get_list("set-cookie"):
        jar.load(line)
    return {name: {"value": morsel.value, **{k: v for k, v in morsel.items() if v}} for name, morsel in jar.items()}


def session_cookie(account: Account) -> dict[str, str]:
    return {"Cookie": f"dovetail_session={account.access_token}"}


async def register(browser, protocol: str) -> dict[str, str]:
    """Register an account, and return its tokens and cookies."""
    if protocol == "rest":
        response = await browser.post("/api/auth/register", json=ANN)
        return {**response.json()["data"], "cookies": get_cookies(response)}
    response = await browser.post("/graphql", json={"query": REGISTER, "variables": {"input": ANN}})
    return {**response.json()["data"]["register"], "cookies": get_cookies(response)}


@pytest.mark.parametrize("protocol", ["graphql", "rest"])
async def test_registration_and_login_set_both_cookies(server, protocol):
    """`HttpOnly` and `SameSite=Lax`."""
    async with server.browser() as browser:
        response = await register(browser, protocol)
        assert response["cookies"] == {
            "dovetail_session": {
                "value": response["accessToken"],
                "path": "/",
                "max-age": "900",
                "httponly": True,
                "samesite": "lax",
            },
            "dovetail_refresh": {
                "value": response["refreshToken"],
                "path": "/api/auth",
                "max-age": str(30 * 24 * 3600),
                "httponly": True,
                "samesite": "lax",
            },
        }
        login = await browser.post("/graphql", json={"query": LOGIN}, headers=SAME_ORIGIN)
        assert set(get_cookies(login)) == {"dovetail_session", "dovetail_refresh"}


async def test_cookies_are_secure_in_production(make_server):
    """Browsers send them over HTTPS only."""
    server = await make_server(environment="production")
    async with server.browser() as browser:
        response = await register(browser, "rest")
    assert [cookie.get("secure") for cookie in response["cookies"].values()] == [True, True]


async def test_the_session_cookie_authenticates(server):
    """In both protocols. Reads need no origin, writes need the same origin."""
    async with server.browser() as browser:
        await register(browser, "rest")
        assert (await browser.get("/api/auth/me")).json()["data"]["name"] == "Ann"
        assert (await browser.get("/graphql", params=VIEWER)).json() == {"data": {"viewer": {"name": "Ann"}}}
        assert (await browser.post("/graphql", json=VIEWER, headers=SAME_ORIGIN)).json() == {
            "data": {"viewer": {"name": "Ann"}}
        }
        post = {"title": "By cookie", "content": CONTENT}
        assert (await browser.post("/api/posts", json=post, headers=SAME_ORIGIN)).status_code == 201


WRITES = [
    ("POST", "/graphql", VIEWER),
    ("POST", "/api/posts", {"title": "Forged", "content": CONTENT}),
    ("PATCH", "/api/posts/01900000-0000-7000-8000-000000000000", {"title": "Forged"}),
    ("DELETE", "/api/posts/01900000-0000-7000-8000-000000000000", None),
]


@pytest.mark.parametrize("origin", ["https://evil.example", "null", None, "http://gateway.test.evil.example", ""])
@pytest.mark.parametrize(("method", "path", "body"), WRITES, ids=lambda value: str(value)[:20])
async def test_a_cookie_does_not_write_from_other_origins(server, author, origin, method, path, body):
    """Another `Origin` or none is 403 in both protocols."""
    headers = {**session_cookie(author), **({} if origin is None else {"Origin": origin})}
    response = await server.anonymous.request(method, path, json=body, headers=headers)
    error = response.json()
    code = error["errors"][0]["extensions"]["code"] if path == "/graphql" else error["code"]
    assert (response.status_code, code) == (403, "FORBIDDEN")


async def test_a_bearer_token_writes_from_any_origin(server, author):
    """Browsers do not send it on their own."""
    headers = {**author.headers, "Origin": "https://evil.example"}
    response = await server.anonymous.post("/api/posts", json={"title": "Mine", "content": CONTENT}, headers=headers)
    assert response.status_code == 201


async def test_a_cookie_writes_from_cors_origins(make_server):
    """And their pages may read the response."""
    server = await make_server(cors_origins=["https://www.example.com"])
    author = await server.account("Ann")
    headers = {**session_cookie(author), "Origin": "https://www.example.com"}
    response = await server.anonymous.post("/api/posts", json={"title": "Mine", "content": CONTENT}, headers=headers)
    assert response.status_code == 201
    assert response.headers["Access-Control-Allow-Origin"] == "https://www.example.com"
    assert response.headers["Access-Control-Allow-Credentials"] == "true"


@pytest.mark.parametrize("value", ["nonsense", "a.b.c", "é".encode().decode("latin-1")])
async def test_an_invalid_session_cookie_is_cleared_and_the_request_anonymous(server, value):
    """No error: the browser is no longer signed in."""
    headers = {"Cookie": f"dovetail_session={value}".encode("latin-1")}
    response = await server.anonymous.get("/api/posts", headers=headers)
    assert response.status_code == 200
    assert get_cookies(response)["dovetail_session"]["max-age"] == "0"
    graphql = await server.anonymous.post("/graphql", json=VIEWER, headers={**headers, **SAME_ORIGIN})
    assert graphql.json() == {"data": {"viewer": None}}
    assert get_cookies(graphql)["dovetail_session"]["max-age"] == "0"


async def test_an_invalid_bearer_token_is_rejected_beside_a_valid_cookie(server, author):
    """The header takes precedence."""
    headers = {**session_cookie(author), "Authorization": "Bearer nonsense"}
    assert (await server.anonymous.get("/api/posts", headers=headers)).status_code == 401


async def test_refresh_and_logout_work_by_cookie(server):
    """Without a body. Logout clears both cookies."""
    async with server.browser() as browser:
        await register(browser, "rest")
        refreshed = await browser.post("/api/auth/refresh", headers=SAME_ORIGIN)
        assert (refreshed.status_code, set(get_cookies(refreshed))) == (200, {"dovetail_session", "dovetail_refresh"})
        logout = await browser.post("/api/auth/logout", headers=SAME_ORIGIN)
        assert logout.status_code == 204
        assert {name: cookie["max-age"] for name, cookie in get_cookies(logout).items()} == {
            "dovetail_session": "0",
            "dovetail_refresh": "0",
        }
        assert (await browser.get("/api/auth/me")).status_code == 401
        assert (await browser.post("/api/auth/refresh", headers=SAME_ORIGIN)).status_code == 401


async def test_two_tabs_that_refresh_concurrently_stay_signed_in(server):
    """The second is rejected without clearing the cookies that the first got."""
    async with server.browser() as browser:
        response = await register(browser, "rest")
        shared = "; ".join(f"{name}={cookie['value']}" for name, cookie in response["cookies"].items())
        headers = {**SAME_ORIGIN, "Cookie": shared}
        tabs = await asyncio.gather(*(server.anonymous.post("/api/auth/refresh", headers=headers) for _ in range(2)))
        first, second = sorted(tabs, key=lambda tab: tab.status_code)
        assert (first.status_code, second.status_code) == (200, 401)
        assert get_cookies(second) == {}
        renewed = "; ".join(f"{name}={cookie['value']}" for name, cookie in get_cookies(first).items())
        next_refresh = await server.anonymous.post("/api/auth/refresh", headers={**SAME_ORIGIN, "Cookie": renewed})
        assert next_refresh.status_code == 200


@pytest.mark.parametrize("path", ["/api/auth/refresh", "/api/auth/logout"])
async def test_refresh_and_logout_by_cookie_need_the_same_origin(server, path):
    """Another site can do neither."""
    async with server.browser() as browser:
        await register(browser, "rest")
        for headers in ({}, {"Origin": "https://evil.example"}):
            assert (await browser.post(path, headers=headers)).status_code == 403
        assert (await browser.get("/api/auth/me")).status_code == 200


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None]
)
@pytest.mark.parametrize("path", ["/graphql", "/api/auth/login", "/api/auth/register", "/api/posts"])
async def test_content_types_of_forms_are_rejected(server: Server, author, path, content_type):
    """415: browsers send these from any site without a preflight."""
    headers = {**author.headers, **({"Content-Type": content_type} if content_type else {})}
    response = await server.anonymous.post(path, content=b'{"query": "{ __typename }"}', headers=headers)
    error = response.json()
    code = error["errors"][0]["extensions"]["code"] if path == "/graphql" else error["code"]
    assert (response.status_code, code) == (415, "UNSUPPORTED_MEDIA_TYPE")


async def test_no_response_contains_the_signing_secret(server):
    """Neither body nor headers."""
    async with server.browser() as browser:
        response = await browser.post("/api/auth/register", json=ANN)
    assert SECRET not in response.text + str(response.headers)
