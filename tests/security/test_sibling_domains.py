"""Sibling domains: the cookies that they can set for our visitors are not accepted."""

import pytest

from gateway.auth.cookies import REFRESH_COOKIE, SESSION_COOKIE
from tests.support.accounts import Account
from tests.support.servers import Server

pytestmark = pytest.mark.anyio

ORIGIN = {"Origin": "http://gateway.test"}
LIKE_WHITESPACE = [bytes([code]) for code in (*range(0x20), *range(0x7F, 0x100)) if code != 0x09]
"""Bytes that some parser may strip as white space, as Python does with 0xA0, 0x85 and 0x1C, but browsers do not."""


async def get_viewer_name(server: Server, cookies: bytes) -> str | None:
    response = await server.anonymous.get("/api/auth/me", headers={"Cookie": cookies})
    return response.json()["data"]["name"] if response.is_success else None


def build_cookie(name: str, account: Account) -> bytes:
    """Return the cookie that the server set for an account."""
    value = account.refresh_token if name.endswith(REFRESH_COOKIE) else account.access_token
    return f"{name}={value}".encode()


@pytest.fixture(params=["development", "production"])
async def server_and_cookie(request: pytest.FixtureRequest, make_server) -> tuple[Server, str]:
    """A server, and the name of its session cookie."""
    server = await make_server(environment=request.param)
    return server, f"__Host-{SESSION_COOKIE}" if request.param == "production" else SESSION_COOKIE


async def test_a_name_with_an_extra_byte_is_another_cookie(server_and_cookie):
    """Browsers let sibling domains set it, so it signs nobody in, alone or beside the real cookie."""
    server, name = server_and_cookie
    ann, mallory = await server.account("Ann"), await server.account("Mallory")
    assert await get_viewer_name(server, build_cookie(name, ann)) == "Ann"
    for byte in LIKE_WHITESPACE:
        value = mallory.access_token.encode()
        for planted in (byte + name.encode(), name.encode() + byte):
            assert await get_viewer_name(server, planted + b"=" + value) is None, planted
            for pair in (
                [build_cookie(name, ann), planted + b"=" + value],
                [planted + b"=" + value, build_cookie(name, ann)],
            ):
                assert await get_viewer_name(server, b"; ".join(pair)) == "Ann", planted


@pytest.mark.parametrize("form", ["%s", " %s ", "\t%s\t", "a=b;%s;c", ";;%s;", "=x; %s; y", "a=b ;\t %s"])
async def test_the_cookie_is_found_among_others(server_and_cookie, form):
    """Separated by semicolons, spaces and tabs."""
    server, name = server_and_cookie
    ann = await server.account("Ann")
    assert await get_viewer_name(server, form.encode() % build_cookie(name, ann)) == "Ann"
    assert await get_viewer_name(server, form.encode() % f'{name} = "{ann.access_token}"'.encode()) == "Ann"


@pytest.mark.parametrize("case", [str.upper, str.lower, str.title])
async def test_cookie_names_are_case_sensitive(server_and_cookie, case):
    """As in browsers."""
    server, name = server_and_cookie
    spelled = case(name)
    ann = await server.account("Ann")
    assert await get_viewer_name(server, build_cookie(spelled, ann)) == ("Ann" if spelled == name else None)


async def test_a_cookie_that_occurs_twice_is_rejected(server_and_cookie):
    """In one header line or in two: a sibling domain may have set one of them, and nothing tells which."""
    server, name = server_and_cookie
    ann, mallory = await server.account("Ann"), await server.account("Mallory")
    real, planted = build_cookie(name, ann), build_cookie(name, mallory)
    for first, second in ((real, planted), (planted, real), (real, real)):
        assert await get_viewer_name(server, first + b"; " + second) is None
        headers = [(b"Cookie", first), (b"Cookie", second)]
        assert (await server.anonymous.get("/api/auth/me", headers=headers)).status_code == 401
    split = [(b"Cookie", b"a=b"), (b"Cookie", real)]
    assert (await server.anonymous.get("/api/auth/me", headers=split)).status_code == 200


async def test_a_refresh_cookie_with_an_extra_byte_is_ignored(server):
    """Otherwise a sibling domain could sign a visitor in to another account."""
    mallory = await server.account("Mallory")
    for byte in (b"\xa0", b"\x85", b"\x1c"):
        headers = {**ORIGIN, "Cookie": byte + build_cookie(REFRESH_COOKIE, mallory)}
        assert (await server.anonymous.post("/api/auth/refresh", headers=headers)).status_code == 401
    twice = {**ORIGIN, "Cookie": b"; ".join([build_cookie(REFRESH_COOKIE, mallory)] * 2)}
    assert (await server.anonymous.post("/api/auth/refresh", headers=twice)).status_code == 401
    once = {**ORIGIN, "Cookie": build_cookie(REFRESH_COOKIE, mallory)}
    assert (await server.anonymous.post("/api/auth/refresh", headers=once)).status_code == 200


@pytest.mark.parametrize("path", ["/api/auth/refresh", "/api/auth/logout"])
async def test_in_production_a_refresh_cookie_needs_the_host_prefix(make_server, path):
    """A sibling domain can set the plain name and `__Secure-` for the whole domain."""
    server = await make_server(environment="production")
    mallory = await server.account("Mallory")
    for name in (REFRESH_COOKIE, f"__Secure-{REFRESH_COOKIE}"):
        headers = {**ORIGIN, "Cookie": build_cookie(name, mallory)}
        assert "set-cookie" not in (await server.anonymous.post("/api/auth/refresh", headers=headers)).headers
        await server.anonymous.post(path, headers=headers)
    headers = {**ORIGIN, "Cookie": build_cookie(f"__Host-{REFRESH_COOKIE}", mallory)}
    assert (await server.anonymous.post(path, headers=headers)).is_success


async def test_the_refresh_cookie_is_read_only_by_its_endpoints(make_server):
    """With `__Host-` browsers send it everywhere. Elsewhere it does not authenticate, and needs no origin."""
    server = await make_server(environment="production")
    ann = await server.account("Ann")
    headers = {"Cookie": build_cookie(f"__Host-{REFRESH_COOKIE}", ann), "Origin": "https://evil.example"}
    response = await server.anonymous.post("/graphql", json={"query": "{ viewer { id } }"}, headers=headers)
    assert response.json() == {"data": {"viewer": None}}
    assert (await server.anonymous.get("/api/auth/me", headers=headers)).status_code == 401
    assert (await server.anonymous.post("/api/auth/refresh", headers=headers)).status_code == 403
