"""Requests from other sites: they cannot write with a visitor's cookies, read responses or embed pages."""

import re

import pytest

from tests.support.api_keys import READ_ONLY, READ_WRITE, create_machine
from tests.support.servers import ORIGIN, Server
from tests.support.uploads import make_image, post_files
from tests.support.writing import CONTENT

pytestmark = pytest.mark.anyio

PAGES = "/", "/docs"
ACCOUNT = {"name": "Ann", "email": "ann@example.com", "password": "long enough"}
FRONT_END = "https://www.example.com"
SIMILAR_ORIGINS = [
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
"""Origins that resemble the allowed one."""

IGNORES_COOKIES = {"/api/auth/login", "/api/auth/register", "/api/webhooks/stripe"}
"""They authenticate by the body or its signature, and accept only JSON, which no form can send."""


def list_unsafe_routes(server: Server) -> set[tuple[str, str]]:
    return {
        (method, re.sub(r"{\w+}", "01900000-0000-7000-8000-000000000000", route.path))
        for route in server.app.routes
        for method in getattr(route, "methods", None) or ()
        if method not in ("GET", "HEAD", "OPTIONS") and route.path not in IGNORES_COOKIES
    }


async def test_no_route_accepts_a_cookie_from_another_site(server, author):
    """All routes of the app, future ones included."""
    routes = list_unsafe_routes(server)
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
            for content_type in ("application/json", "multipart/form-data; boundary=x", "text/plain"):
                headers = {"Cookie": cookies, "Content-Type": content_type, **origin}
                response = await server.anonymous.request(method, path, content=b"{}", headers=headers)
                allowed = (403,) if content_type == "application/json" else (403, 415)
                assert response.status_code in allowed, (method, path, headers)


async def test_uploads_by_cookie_need_an_allowed_origin(make_server, tmp_path):
    """A form of any site can send files, so `Origin` decides, or a header that no form can set."""
    server = await make_server(cors_origins=FRONT_END, upload_url=f"file:{tmp_path}")
    author = await server.account()
    cookie = {"Cookie": f"dovetail_session={author.access_token}"}

    async def status(headers: dict[str, str]) -> int:
        return (
            await post_files(server.anonymous, None, ("a.png", make_image(), "image/png"), headers=headers)
        ).status_code

    for origin in ("https://evil.example", "null", f"{ORIGIN}.evil.example"):
        assert await status({**cookie, "Origin": origin}) == 403
    assert await status(cookie) == 403
    assert [await status({**cookie, "Origin": origin}) for origin in (ORIGIN, FRONT_END)] == [201, 201]
    assert await status({**author.headers, "Origin": "https://evil.example"}) == 201
    machines = [await create_machine(server.db, scopes, author) for scopes in (READ_ONLY, READ_WRITE)]
    assert [await status(machine.headers) for machine in machines] == [403, 201]


async def test_only_the_origin_header_counts(server, author):
    """No page can choose it; other headers may be forged or missing."""
    cookie = {"Cookie": f"dovetail_session={author.access_token}"}
    for forged in ({"Referer": f"{ORIGIN}/"}, {"Sec-Fetch-Site": "same-origin"}, {"X-Forwarded-Host": "evil.example"}):
        headers = {**cookie, "Origin": "https://evil.example", **forged}
        assert (await server.anonymous.post("/api/posts", json={}, headers=headers)).status_code == 403


async def test_several_origin_headers_are_rejected(server, author):
    """A proxy may have checked the other one."""
    cookie = ("Cookie", f"dovetail_session={author.access_token}")
    for origins in ((ORIGIN, "https://evil.example"), ("https://evil.example", ORIGIN), (ORIGIN, ORIGIN)):
        headers = [cookie, *(("Origin", each) for each in origins)]
        body = {"title": "A post", "content": CONTENT}
        assert (await server.anonymous.post("/api/posts", json=body, headers=headers)).status_code == 403


async def test_origins_that_resemble_an_allowed_one_get_no_cors_headers(make_server):
    """They may neither read a response nor pass a preflight."""
    server = await make_server(cors_origins=FRONT_END)
    preflight = {"Access-Control-Request-Method": "DELETE", "Access-Control-Request-Headers": "content-type,x-api-key"}
    for origin in SIMILAR_ORIGINS:
        response = await server.anonymous.get("/api/posts", headers={"Origin": origin})
        preflighted = await server.anonymous.options("/api/posts/x", headers={"Origin": origin, **preflight})
        assert (response.status_code, preflighted.status_code) == (200, 400)
        for each in (response, preflighted):
            assert "Access-Control-Allow-Origin" not in each.headers
    allowed = await server.anonymous.options("/api/posts/x", headers={"Origin": FRONT_END, **preflight})
    assert allowed.status_code == 200
    assert allowed.headers["Access-Control-Allow-Origin"] == FRONT_END
    assert "Origin" in allowed.headers["Vary"].split(", ")
    assert "DELETE" in allowed.headers["Access-Control-Allow-Methods"]
    assert "x-api-key" in allowed.headers["Access-Control-Allow-Headers"]


async def test_without_cors_origins_there_are_no_cors_headers(server):
    """This server's own origin needs none."""
    response = await server.anonymous.get("/api/posts", headers={"Origin": ORIGIN})
    assert not [name for name in response.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("path", ["/api/posts", "/api/nowhere", "/graphql?query={__typename}", "/api/health", *PAGES])
async def test_every_response_has_the_security_headers(server, path):
    """Errors and pages included."""
    response = await server.anonymous.get(path)
    expected = {
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "strict-origin-when-cross-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    assert {name: response.headers.get(name) for name in expected} == {
        **expected,
        "Referrer-Policy": response.headers["Referrer-Policy"],
    }
    policy = response.headers["Content-Security-Policy"]
    assert {"default-src 'none'", "frame-ancestors 'none'"} <= set(policy.split("; "))
    assert path in PAGES or policy.count(";") == 1, "only pages load resources"
    assert "Strict-Transport-Security" not in response.headers


@pytest.mark.parametrize(
    ("settings", "scheme", "address", "forwarded", "has_hsts"),
    [
        ({"environment": "production"}, "https", "192.0.2.1", None, True),
        ({"environment": "production"}, "http", "192.0.2.1", None, False),
        ({"environment": "production", "trusted_proxies": "10.0.0.0/8"}, "http", "10.0.0.1", "https", True),
        ({"environment": "production", "trusted_proxies": "10.0.0.0/8"}, "http", "10.0.0.1", "http", False),
        ({"environment": "production", "trusted_proxies": "10.0.0.0/8"}, "http", "192.0.2.1", "https", False),
        ({}, "https", "192.0.2.1", None, False),
    ],
)
async def test_hsts_is_sent_over_https_in_production(make_server, settings, scheme, address, forwarded, has_hsts):
    """Over HTTPS to this server or to a trusted proxy; `X-Forwarded-Proto` of other clients is ignored."""
    server = await make_server(**settings)
    headers = {"X-Forwarded-Proto": forwarded} if forwarded else {}
    async with server.browser(address=address) as browser:
        response = await browser.get(f"{scheme}://gateway.test/api/posts", headers=headers)
    assert response.headers.get("Strict-Transport-Security") == ("max-age=31536000" if has_hsts else None)


def get_cookie_attributes(response) -> list[tuple[str, str]]:
    """Return the name and the attributes of each cookie that a response sets."""
    return [(line.partition("=")[0], line.partition("; ")[2]) for line in response.headers.get_list("set-cookie")]


async def test_in_production_cookies_have_the_host_prefix(make_server):
    """So a sibling domain cannot set them and sign visitors in to an account of its own."""
    server = await make_server(environment="production")
    origin = {"Origin": "https://gateway.test"}
    async with server.browser() as browser:
        registered = await browser.post("https://gateway.test/api/auth/register", json=ACCOUNT)
        assert get_cookie_attributes(registered) == [
            ("__Host-dovetail_session", "HttpOnly; Max-Age=900; Path=/; SameSite=lax; Secure"),
            ("__Host-dovetail_refresh", "HttpOnly; Max-Age=2592000; Path=/; SameSite=lax; Secure"),
        ]
        assert (await browser.get("https://gateway.test/api/auth/me")).json()["data"]["name"] == "Ann"
        refreshed = await browser.post("https://gateway.test/api/auth/refresh", headers=origin)
        assert refreshed.status_code == 200
        without_prefix = {"Cookie": f"dovetail_session={refreshed.json()['data']['accessToken']}"}
        assert (await server.anonymous.get("/api/auth/me", headers=without_prefix)).status_code == 401
        logged_out = await browser.post("https://gateway.test/api/auth/logout", headers=origin)
        assert [name for name, _ in get_cookie_attributes(logged_out)] == [
            "__Host-dovetail_session",
            "__Host-dovetail_refresh",
        ]
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
async def test_cookie_prefixes_can_be_set(make_server, settings, name):
    """With a prefix cookies are always `Secure`: browsers would reject them otherwise."""
    server = await make_server(**settings)
    session, _ = get_cookie_attributes(
        await server.anonymous.post("/api/auth/register", json={**ACCOUNT, "password": CONTENT})
    )
    assert session == (name, "HttpOnly; Max-Age=900; Path=/; SameSite=lax; Secure")
