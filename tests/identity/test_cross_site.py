"""Pages of other sites: what they cannot do with our visitors' cookies, nor read, nor hold in their own process."""

import re

import pytest

from tests.identity.machines import BOTH, READ, machine
from tests.support.servers import ORIGIN, Server
from tests.support.writing import CONTENT
from tests.uploads.files import picture, send

pytestmark = pytest.mark.anyio

PAGES = "/", "/docs"
PERSON = {"name": "Ann", "email": "ann@example.com", "password": "long enough"}
FRONT = "https://www.example.com"
NEAR = [
    "https://www.example.com.evil.example",
    "https://evil-www.example.com",
    "https://www.example.com:8443",
    "https://www.example.com/",
    "http://www.example.com",
    "https://example.com",
    "https://www_example.com",
    "null",
    "*",
]
"""Origins that are not quite the one that is allowed."""

TAKES_NO_COOKIE = {"/api/auth/login", "/api/auth/register", "/api/webhooks/stripe"}
"""They look at what the body says, or at its signature, and take JSON alone, which no page sends unasked."""


def unsafe_routes(server: Server) -> set[tuple[str, str]]:
    return {
        (method, re.sub(r"{\w+}", "01900000-0000-7000-8000-000000000000", route.path))
        for route in server.app.routes
        for method in getattr(route, "methods", None) or ()
        if method not in ("GET", "HEAD", "OPTIONS") and route.path not in TAKES_NO_COOKIE
    }


async def test_no_route_writes_by_a_cookie_from_elsewhere(server, author):
    """Whatever routes there are, those that come after this test among them."""
    routes = unsafe_routes(server)
    assert {path for _, path in routes if "0000" not in path} == {
        "/graphql",
        "/api/posts",
        "/api/chat",
        "/api/upload",
        "/api/auth/refresh",
        "/api/auth/logout",
    }
    cookies = f"dovetail_session={author.access_token}; dovetail_refresh={author.refresh_token}"
    for method, path in sorted(routes):
        for origin in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {}):
            for kind in ("application/json", "multipart/form-data; boundary=x", "text/plain"):
                headers = {"Cookie": cookies, "Content-Type": kind, **origin}
                answer = await server.anonymous.request(method, path, content=b"{}", headers=headers)
                refused = 403 if kind == "application/json" else answer.status_code
                assert answer.status_code == refused in (403, 415), (method, path, headers)


async def test_files_are_uploaded_by_a_cookie_from_our_own_pages_only(make_server, tmp_path):
    """A form may send them unasked, from any page: so it is `Origin` that decides, or a header that no form has."""
    server = await make_server(cors_origins=FRONT, upload_url=f"file:{tmp_path}")
    author = await server.account()
    cookie = {"Cookie": f"dovetail_session={author.access_token}"}

    async def status(headers: dict[str, str]) -> int:
        return (await send(server.anonymous, None, ("a.png", picture(), "image/png"), headers=headers)).status_code

    for origin in ("https://evil.example", "null", f"{ORIGIN}.evil.example"):
        assert await status({**cookie, "Origin": origin}) == 403
    assert await status(cookie) == 403
    assert [await status({**cookie, "Origin": origin}) for origin in (ORIGIN, FRONT)] == [201, 201]
    assert await status({**author.headers, "Origin": "https://evil.example"}) == 201
    reader, writer = await machine(server.db, READ, author), await machine(server.db, BOTH, author)
    assert [await status(account.headers) for account in (reader, writer)] == [403, 201]


async def test_a_referer_or_a_host_of_one_s_own_is_no_origin(server, author):
    """Only `Origin`, which no page can choose."""
    cookie = {"Cookie": f"dovetail_session={author.access_token}"}
    for lie in ({"Referer": f"{ORIGIN}/"}, {"Sec-Fetch-Site": "same-origin"}, {"X-Forwarded-Host": "evil.example"}):
        headers = {**cookie, "Origin": "https://evil.example", **lie}
        assert (await server.anonymous.post("/api/posts", json={}, headers=headers)).status_code == 403


async def test_two_origins_are_none(server, author):
    """Whoever stands between may have looked at the other one."""
    cookie = ("Cookie", f"dovetail_session={author.access_token}")
    for origins in ((ORIGIN, "https://evil.example"), ("https://evil.example", ORIGIN), (ORIGIN, ORIGIN)):
        headers = [cookie, *(("Origin", each) for each in origins)]
        body = {"title": "A post", "content": CONTENT}
        assert (await server.anonymous.post("/api/posts", json=body, headers=headers)).status_code == 403


async def test_other_origins_are_told_nothing(make_server):
    """Of all that are nearly the one that is allowed, none may read an answer or send a request that asks first."""
    server = await make_server(cors_origins=FRONT)
    asking = {"Access-Control-Request-Method": "DELETE", "Access-Control-Request-Headers": "content-type,x-api-key"}
    for origin in NEAR:
        read = await server.anonymous.get("/api/posts", headers={"Origin": origin})
        asked = await server.anonymous.options("/api/posts/x", headers={"Origin": origin, **asking})
        assert (read.status_code, asked.status_code) == (200, 400)
        assert {
            name for answer in (read, asked) for name in answer.headers if name == "access-control-allow-origin"
        } == set()
    allowed = await server.anonymous.options("/api/posts/x", headers={"Origin": FRONT, **asking})
    assert allowed.status_code == 200
    assert allowed.headers["Access-Control-Allow-Origin"] == FRONT
    assert "Origin" in allowed.headers["Vary"].split(", ")
    assert "DELETE" in allowed.headers["Access-Control-Allow-Methods"]
    assert "x-api-key" in allowed.headers["Access-Control-Allow-Headers"]


async def test_without_cors_origins_there_is_no_cors(server):
    """Not even for this server's own origin, which needs none."""
    answer = await server.anonymous.get("/api/posts", headers={"Origin": ORIGIN})
    assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("path", ["/api/posts", "/api/nowhere", "/graphql?query={__typename}", "/api/health", *PAGES])
async def test_every_answer_carries_the_headers_that_keep_other_sites_out(server, path):
    """Refusals and pages too."""
    answer = await server.anonymous.get(path)
    kept = {
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "strict-origin-when-cross-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    assert {name: answer.headers.get(name) for name in kept} | {"Referrer-Policy": ""} == kept | {"Referrer-Policy": ""}
    policy = answer.headers["Content-Security-Policy"]
    assert {"default-src 'none'", "frame-ancestors 'none'"} <= set(policy.split("; "))
    assert path in PAGES or policy.count(";") == 1, "only pages load anything"
    assert "Strict-Transport-Security" not in answer.headers


@pytest.mark.parametrize(
    ("settings", "scheme", "address", "forwarded", "insists"),
    [
        ({"environment": "production"}, "https", "192.0.2.1", None, True),
        ({"environment": "production"}, "http", "192.0.2.1", None, False),
        ({"environment": "production", "trusted_proxies": "10.0.0.0/8"}, "http", "10.0.0.1", "https", True),
        ({"environment": "production", "trusted_proxies": "10.0.0.0/8"}, "http", "10.0.0.1", "http", False),
        ({"environment": "production", "trusted_proxies": "10.0.0.0/8"}, "http", "192.0.2.1", "https", False),
        ({}, "https", "192.0.2.1", None, False),
    ],
)
async def test_browsers_are_to_insist_on_tls_where_there_is_tls(
    make_server, settings, scheme, address, forwarded, insists
):
    """In production, and as the client came: a header over plain HTTP would be anybody's."""
    server = await make_server(**settings)
    headers = {"X-Forwarded-Proto": forwarded} if forwarded else {}
    async with server.browser(address=address) as browser:
        answer = await browser.get(f"{scheme}://gateway.test/api/posts", headers=headers)
    assert answer.headers.get("Strict-Transport-Security") == ("max-age=31536000" if insists else None)


def lines(answer) -> list[tuple[str, str]]:
    """The name of each cookie that an answer sets, and its attributes."""
    return [(line.partition("=")[0], line.partition("; ")[2]) for line in answer.headers.get_list("set-cookie")]


async def test_in_production_browsers_see_to_it_that_nobody_else_sets_our_cookies(make_server):
    """A neighbour under the same domain cannot sign our visitors in as somebody of theirs."""
    server = await make_server(environment="production")
    home = {"Origin": "https://gateway.test"}
    async with server.browser() as browser:
        entered = await browser.post("https://gateway.test/api/auth/register", json=PERSON)
        assert lines(entered) == [
            ("__Host-dovetail_session", "HttpOnly; Max-Age=900; Path=/; SameSite=lax; Secure"),
            ("__Host-dovetail_refresh", "HttpOnly; Max-Age=2592000; Path=/; SameSite=lax; Secure"),
        ]
        assert (await browser.get("https://gateway.test/api/auth/me")).json()["data"]["name"] == "Ann"
        refreshed = await browser.post("https://gateway.test/api/auth/refresh", headers=home)
        assert refreshed.status_code == 200
        planted = {"Cookie": f"dovetail_session={refreshed.json()['data']['accessToken']}"}
        assert (await server.anonymous.get("/api/auth/me", headers=planted)).status_code == 401
        left = await browser.post("https://gateway.test/api/auth/logout", headers=home)
        assert [name for name, _ in lines(left)] == ["__Host-dovetail_session", "__Host-dovetail_refresh"]
        assert (await browser.get("https://gateway.test/api/auth/me")).status_code == 401
    document = (await server.anonymous.get("/openapi.json")).json()
    schemes = document["components"]["securitySchemes"]
    names = schemes["cookie"]["name"], schemes["refreshCookie"]["name"]
    assert names == ("__Host-dovetail_session", "__Host-dovetail_refresh")


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"environment": "production", "cookie_prefixes": "off"}, "dovetail_session"),
        ({"cookie_prefixes": "on"}, "__Host-dovetail_session"),
    ],
)
async def test_the_names_of_cookies_can_be_chosen(make_server, settings, name):
    """For who reads them elsewhere; with a prefix they are always `Secure`, or no browser would keep them."""
    server = await make_server(**settings)
    session, _ = lines(await server.anonymous.post("/api/auth/register", json={**PERSON, "password": CONTENT}))
    assert session == (name, "HttpOnly; Max-Age=900; Path=/; SameSite=lax; Secure")
