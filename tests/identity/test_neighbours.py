"""Other hosts under the same domain: whatever cookies they set for our visitors, none of them is believed."""

import pytest

from gateway.auth.cookies import REFRESH_COOKIE, SESSION_COOKIE
from tests.support.accounts import Account
from tests.support.servers import Server

pytestmark = pytest.mark.anyio

HOME = {"Origin": "http://gateway.test"}
NEARLY_BLANK = [bytes([code]) for code in (*range(0x20), *range(0x7F, 0x100)) if code != 0x09]
"""Bytes that may stand for a space somewhere, as 0xA0, 0x85 and 0x1C do in Python, but not to a browser."""


async def name_by(server: Server, cookies: bytes) -> str | None:
    """Who one is with cookies, as they come over the wire."""
    answer = await server.anonymous.get("/api/auth/me", headers={"Cookie": cookies})
    return answer.json()["data"]["name"] if answer.is_success else None


def written(name: str, account: Account) -> bytes:
    """The cookie that a server set for somebody."""
    value = account.refresh_token if name.endswith(REFRESH_COOKIE) else account.access_token
    return f"{name}={value}".encode()


@pytest.fixture(params=["development", "production"])
async def guarded(request: pytest.FixtureRequest, make_server) -> tuple[Server, str]:
    """A server, and what browsers know its session by."""
    server = await make_server(environment=request.param)
    return server, f"__Host-{SESSION_COOKIE}" if request.param == "production" else SESSION_COOKIE


async def test_a_name_with_anything_before_or_after_it_is_another(guarded):
    """Browsers let anybody set it, so nobody is signed in by it, alone or beside the real one."""
    server, name = guarded
    ours, theirs = await server.account("Ann"), await server.account("Mallory")
    assert await name_by(server, written(name, ours)) == "Ann"
    for byte in NEARLY_BLANK:
        value = theirs.access_token.encode()
        for planted in (byte + name.encode(), name.encode() + byte):
            assert await name_by(server, planted + b"=" + value) is None, planted
            for pair in ([written(name, ours), planted + b"=" + value], [planted + b"=" + value, written(name, ours)]):
                assert await name_by(server, b"; ".join(pair)) == "Ann", planted


@pytest.mark.parametrize("form", ["%s", " %s ", "\t%s\t", "a=b;%s;c", ";;%s;", "=x; %s; y", "a=b ;\t %s"])
async def test_a_cookie_is_found_among_others(guarded, form):
    """However they are set apart: by semicolons, and as many spaces and tabs as there are."""
    server, name = guarded
    ours = await server.account("Ann")
    assert await name_by(server, form.encode() % written(name, ours)) == "Ann"
    assert await name_by(server, form.encode() % f'{name} = "{ours.access_token}"'.encode()) == "Ann"


@pytest.mark.parametrize("case", [str.upper, str.lower, str.title])
async def test_a_name_in_another_case_is_another(guarded, case):
    """As it is to browsers."""
    server, name = guarded
    spelled = case(name)
    ours = await server.account("Ann")
    assert await name_by(server, written(spelled, ours)) == ("Ann" if spelled == name else None)


async def test_a_name_that_comes_twice_is_nobody_s(guarded):
    """One of the two may be a neighbour's, and nothing says which; in one line or in two."""
    server, name = guarded
    ours, theirs = await server.account("Ann"), await server.account("Mallory")
    real, planted = written(name, ours), written(name, theirs)
    for first, second in ((real, planted), (planted, real), (real, real)):
        assert await name_by(server, first + b"; " + second) is None
        headers = [(b"Cookie", first), (b"Cookie", second)]
        assert (await server.anonymous.get("/api/auth/me", headers=headers)).status_code == 401
    split = [(b"Cookie", b"a=b"), (b"Cookie", real)]
    assert (await server.anonymous.get("/api/auth/me", headers=split)).status_code == 200


async def test_no_refresh_token_is_taken_by_a_name_that_is_nearly_ours(server):
    """Whoever had a visitor refresh by it would sign them in as somebody else."""
    theirs = await server.account("Mallory")
    for byte in (b"\xa0", b"\x85", b"\x1c"):
        headers = {**HOME, "Cookie": byte + written(REFRESH_COOKIE, theirs)}
        assert (await server.anonymous.post("/api/auth/refresh", headers=headers)).status_code == 401
    twice = {**HOME, "Cookie": b"; ".join([written(REFRESH_COOKIE, theirs)] * 2)}
    assert (await server.anonymous.post("/api/auth/refresh", headers=twice)).status_code == 401
    once = {**HOME, "Cookie": written(REFRESH_COOKIE, theirs)}
    assert (await server.anonymous.post("/api/auth/refresh", headers=once)).status_code == 200


@pytest.mark.parametrize("path", ["/api/auth/refresh", "/api/auth/logout"])
async def test_in_production_no_refresh_token_of_a_neighbour_s_is_taken(make_server, path):
    """Neither by the plain name nor by `__Secure-`, both of which a neighbour may set for the whole domain."""
    server = await make_server(environment="production")
    theirs = await server.account("Mallory")
    for name in (REFRESH_COOKIE, f"__Secure-{REFRESH_COOKIE}"):
        headers = {**HOME, "Cookie": written(name, theirs)}
        assert "set-cookie" not in (await server.anonymous.post("/api/auth/refresh", headers=headers)).headers
        await server.anonymous.post(path, headers=headers)
    headers = {**HOME, "Cookie": written(f"__Host-{REFRESH_COOKIE}", theirs)}
    assert (await server.anonymous.post(path, headers=headers)).is_success


async def test_a_refresh_token_is_read_only_where_it_is_spent(make_server):
    """A browser sends it everywhere under `__Host-`; elsewhere it makes nobody a viewer, and asks for no origin."""
    server = await make_server(environment="production")
    ours = await server.account("Ann")
    headers = {"Cookie": written(f"__Host-{REFRESH_COOKIE}", ours), "Origin": "https://evil.example"}
    answer = await server.anonymous.post("/graphql", json={"query": "{ viewer { id } }"}, headers=headers)
    assert answer.json() == {"data": {"viewer": None}}
    assert (await server.anonymous.get("/api/auth/me", headers=headers)).status_code == 401
    assert (await server.anonymous.post("/api/auth/refresh", headers=headers)).status_code == 403
