"""Who a request is from: bearer tokens, cookies, and whose pages cookies count from."""

import pytest

from gateway.auth.cookies import REFRESH_COOKIE, SESSION_COOKIE
from models import Role, Viewer, new_id
from models.errors import Unauthorized
from resolvers import tokens
from resolvers.accounts import promote
from resolvers.tokens import Tokens
from tests.support.accounts import Account
from tests.support.servers import ORIGIN, SECRET, Server

pytestmark = pytest.mark.anyio

POST = {"title": "Hello", "content": "Long enough."}
VIEWER = {"query": "{ viewer { id } }"}
REGISTER = "mutation ($input: RegisterInput!) { register(input: $input) { accessToken refreshToken user { id } } }"
PERSON = {"name": "Ann", "email": "ann@example.com", "password": "long enough"}

FOREIGN = [None, "null", "http://evil.test", f"{ORIGIN}.evil.test", ORIGIN.replace("http", "https")]
FORMS = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
WRITES = [("POST", "/api/posts", POST), ("POST", "/graphql", VIEWER)]


def session_of(account: Account) -> dict[str, str]:
    return {"Cookie": f"{SESSION_COOKIE}={account.access_token}"}


@pytest.mark.parametrize("token", ["nonsense", "", "a.b.c", "é"])
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/api/posts"), ("GET", "/api/auth/me"), ("POST", "/api/auth/login"), ("POST", "/graphql")],
)
async def test_a_bearer_token_that_does_not_verify_is_refused_everywhere(
    server: Server, method: str, path: str, token: str
) -> None:
    """Even where nobody need sign in."""
    headers = {"Authorization": f"Bearer {token}".encode()}
    response = await server.anonymous.request(method, path, headers=headers, json=VIEWER)
    assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert "UNAUTHORIZED" in response.text


async def test_other_schemes_are_not_ours(server: Server) -> None:
    """A proxy's own Basic authentication makes nobody a viewer, and harms nobody."""
    response = await server.anonymous.get("/api/posts", headers={"Authorization": "Basic YTpi"})
    assert response.status_code == 200


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
@pytest.mark.parametrize(
    "origin", [None, "null", "http://evil.test", f"{ORIGIN}.evil.test", ORIGIN.replace("http", "https")]
)
async def test_a_cookie_counts_for_a_write_from_our_own_pages_only(
    server: Server, author: Account, method: str, path: str, body: dict, origin: str | None
) -> None:
    """Another site, or none, is refused in both protocols, whatever the cookie says."""
    headers = session_of(author) | ({"Origin": origin} if origin else {})
    response = await server.anonymous.request(method, path, json=body, headers=headers)
    assert response.status_code == 403
    assert "FORBIDDEN" in response.text


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
async def test_our_own_pages_write_by_cookie(
    server: Server, author: Account, method: str, path: str, body: dict
) -> None:
    """The origin is the one that the request was addressed to."""
    headers = session_of(author) | {"Origin": ORIGIN}
    response = await server.anonymous.request(method, path, json=body, headers=headers)
    assert response.is_success
    assert author.id in response.text


async def test_trusted_origins_write_by_cookie(make_server, author: Account) -> None:
    """Those of `CORS_ORIGINS`, which also may read the answer."""
    server = await make_server(cors_origins="https://app.example")
    headers = session_of(author) | {"Origin": "https://app.example"}
    response = await server.anonymous.post("/api/posts", json=POST, headers=headers)
    assert response.status_code == 201
    assert response.headers["Access-Control-Allow-Origin"] == "https://app.example"
    assert response.headers["Access-Control-Allow-Credentials"] == "true"
    assert "X-RateLimit-Remaining" in response.headers["Access-Control-Expose-Headers"]


async def test_cookies_read_from_anywhere(server: Server, author: Account) -> None:
    """A read needs no origin."""
    response = await server.anonymous.get("/api/auth/me", headers=session_of(author))
    assert response.json()["data"]["id"] == author.id


@pytest.mark.parametrize("path", ["/api/posts", "/graphql?query={viewer{id}}"])
async def test_a_stale_cookie_is_cleared(server: Server, path: str) -> None:
    """Its request is anonymous, not refused."""
    response = await server.anonymous.get(path, headers={"Cookie": f"{SESSION_COOKIE}=stale"})
    assert response.status_code == 200
    assert response.headers["Set-Cookie"] == f'{SESSION_COOKIE}=""; HttpOnly; Max-Age=0; Path=/; SameSite=lax'


@pytest.mark.parametrize("production", [False, True])
@pytest.mark.parametrize("protocol", ["graphql", "rest"])
async def test_signing_in_sets_both_cookies(make_server, protocol: str, production: bool) -> None:
    """In both protocols, out of scripts' reach, and in production over TLS only."""
    server = await make_server(environment="production" if production else "development")
    if protocol == "rest":
        response = await server.anonymous.post("/api/auth/register", json=PERSON)
    else:
        body = {"query": REGISTER, "variables": {"input": PERSON}}
        response = await server.anonymous.post("/graphql", json=body)
    secure = "; Secure" if production else ""
    session, refresh = response.headers.get_list("Set-Cookie")
    host, path = ("__Host-", "/") if production else ("", "/api/auth")
    assert session.startswith(f"{host}{SESSION_COOKIE}=ey")
    assert session.endswith(f"; HttpOnly; Max-Age=900; Path=/; SameSite=lax{secure}")
    assert refresh.startswith(f"{host}{REFRESH_COOKIE}=")
    assert refresh.endswith(f"; HttpOnly; Max-Age=2592000; Path={path}; SameSite=lax{secure}")


async def test_a_browser_signs_in_refreshes_and_leaves_by_cookie(server: Server) -> None:
    """Logging out works at once, on the access token too."""
    async with server.browser(headers={"Origin": ORIGIN}) as browser:
        entered = (await browser.post("/api/auth/register", json=PERSON)).json()["data"]
        refreshed = (await browser.post("/api/auth/refresh")).json()["data"]
        assert refreshed["user"] == entered["user"]
        assert refreshed["refreshToken"] != entered["refreshToken"]
        assert (await browser.get("/api/auth/me")).json()["data"]["email"] == PERSON["email"]
        assert (await browser.post("/api/auth/logout")).status_code == 204
        assert not browser.cookies
        assert (await browser.get("/api/auth/me")).status_code == 401
    for token in (entered["accessToken"], refreshed["accessToken"]):
        gone = await server.anonymous.get("/api/auth/me", headers={"Authorization": f"Bearer {token}"})
        assert gone.status_code == 401


@pytest.mark.parametrize("path", ["/api/auth/refresh", "/api/auth/logout"])
async def test_other_sites_cannot_spend_a_refresh_cookie(server: Server, author: Account, path: str) -> None:
    """A token in the body is the caller's own, and needs no origin."""
    cookie = {"Cookie": f"{REFRESH_COOKIE}={author.refresh_token}"}
    assert (await server.anonymous.post(path, headers=cookie)).status_code == 403
    body = {"refreshToken": author.refresh_token}
    assert (await server.anonymous.post(path, headers=cookie, json=body)).is_success


@pytest.mark.parametrize("path", ["/api/auth/login", "/api/auth/register"])
async def test_signing_in_is_not_hindered_by_old_cookies(server: Server, author: Account, path: str) -> None:
    """Who signs in says so in the body, so no origin is asked for."""
    body = PERSON if path.endswith("register") else {"email": author.email, "password": "wrong"}
    response = await server.anonymous.post(path, json=body, headers=session_of(author))
    assert response.status_code == (201 if path.endswith("register") else 401)


@pytest.mark.parametrize("content_type", FORMS)
@pytest.mark.parametrize("path", ["/api/auth/login", "/api/auth/register", "/api/posts", "/graphql"])
async def test_bodies_that_browsers_send_unasked_are_refused(server: Server, path: str, content_type: str) -> None:
    """A form on another site can write nothing here."""
    response = await server.anonymous.post(path, content=b"{}", headers={"Content-Type": content_type})
    assert response.status_code == 415
    assert "UNSUPPORTED_MEDIA_TYPE" in response.text


@pytest.mark.parametrize("end", ["log out", "lose a role"])
async def test_every_server_knows_at_once(make_server, end: str) -> None:
    """That a session is over, or a role another: however often a token was shown before, and wherever."""
    here, there = await make_server(), await make_server()
    admin = await here.account(role=Role.ADMIN)
    requests = {"query": "{ viewer { role } }"}
    for server in (here, there, there):
        reply = await server.anonymous.post("/graphql", json=requests, headers=admin.headers)
        assert reply.json() == {"data": {"viewer": {"role": "ADMIN"}}}
    if end == "log out":
        await here.anonymous.post("/api/auth/logout", headers=admin.headers)
    else:
        await promote(here.db, admin.email, Role.USER)
    responses = [
        await server.anonymous.post("/graphql", json=requests, headers=admin.headers) for server in (here, there)
    ]
    if end == "log out":
        assert [reply.status_code for reply in responses] == [401, 401]
    else:
        assert [reply.json() for reply in responses] == [{"data": {"viewer": {"role": "USER"}}}] * 2


async def test_a_token_that_was_good_expires_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its signature need not be verified again, its end must be; and only so many tokens are remembered."""
    monkeypatch.setattr(tokens, "MAX_VERIFIED_TOKENS", 2)
    signed = Tokens(SECRET)
    texts = [signed.create_access_token(Viewer(new_id()), new_id()) for _ in range(3)]
    claims = [signed.verify(text) for text in texts]
    assert [signed.verify(text) for text in texts] == claims
    assert signed.decode.cache_info().currsize == 2
    monkeypatch.setattr(tokens.time, "time", lambda: claims[0].expires_at)
    for text in texts:
        with pytest.raises(Unauthorized):
            signed.verify(text)
