"""Auth.js sessions: a user who is signed in to a front end is the viewer here. The real packages make the cookies."""

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from websockets.exceptions import InvalidStatus

from gateway.settings import InvalidSettings
from models import Identity, User
from tests.clients.packages import MINUTES, packages
from tests.support.callers import Rest
from tests.support.live_server import LiveServer
from tests.support.servers import ORIGIN, Server, build_settings, open_server
from tests.support.subscribers import open_socket
from tests.support.writing import CONTENT, count_rows

pytestmark = pytest.mark.anyio

PACKAGE = Path(__file__).parents[2] / "clients" / "authjs"
SECRET, NEXT_SECRET = "secret-of-the-front-end-32-or-more", "secret-after-the-rotation-32-or-more"
ANN = {"id": "ann-1", "name": "Ann", "email": "ann@example.com", "image": "https://example.com/ann.png"}
WITHOUT_ID = {**ANN, "id": None}
"""A user of a front end without a database: Auth.js generates an id at each sign-in."""
CLAIMS = {"sub": "ann-1", "name": "Ann", "email": "ann@example.com"}
POST = {"title": "From a front end", "content": CONTENT}
VIEWER = {"query": "{ viewer { name } }"}

SIGN_INS = {
    "plain": {"user": ANN, "secret": SECRET},
    "secure": {"user": ANN, "secret": SECRET, "secure": True},
    "in chunks": {"user": {**ANN, "name": "x" * 9_000}, "secret": SECRET, "secure": True},
    "host prefix": {"token": CLAIMS, "secret": SECRET, "name": "__Host-authjs.session-token"},
    "ben": {"user": {"id": "ben-1", "name": "Ben", "email": "ben@example.com"}, "secret": SECRET},
    "first sign-in": {"user": WITHOUT_ID, "secret": SECRET},
    "second sign-in": {"user": WITHOUT_ID, "secret": SECRET},
    "named": {"user": ANN, "secret": SECRET, "named": True},
    "named again": {"user": {**ANN, "name": "Annie"}, "secret": SECRET, "named": True},
    "named differently": {"user": {**ANN, "id": "ann-2"}, "secret": SECRET, "named": True},
    "unverified": {"token": {**CLAIMS, "sub": str(uuid4()), "email_verified": False}, "secret": SECRET},
    "rotated": {"user": ANN, "secret": [NEXT_SECRET, SECRET]},
    "version 4": {"token": CLAIMS, "secret": SECRET, "version": 4},
    "without sub": {"token": {"name": "Ann", "email": "ann@example.com"}, "secret": SECRET},
    "an address as sub": {"token": {"sub": "ann@example.com", "name": "Mallory"}, "secret": SECRET},
    "without anything": {"token": {"name": "Ann"}, "secret": SECRET},
    "expired": {"token": CLAIMS, "secret": SECRET, "maxAge": -60},
    "another secret": {"token": CLAIMS, "secret": "not-the-front-ends-secret-32-or-more"},
    "another salt": {"token": CLAIMS, "secret": SECRET, "salt": "__Secure-authjs.session-token"},
    "another purpose": {"token": CLAIMS, "secret": SECRET, "salt": "authjs.pkce.code_verifier"},
    "version 4 of another secret": {"token": CLAIMS, "secret": NEXT_SECRET, "version": 4},
}

Cookies = dict[str, dict[str, str]]


@pytest.fixture(scope="session")
def cookies(tmp_path_factory: pytest.TempPathFactory) -> Cookies:
    """The cookies that the packages set for each of the sign-ins."""
    folder = tmp_path_factory.mktemp("authjs")
    for file in ("package.json", "sign-in.js"):
        shutil.copy(PACKAGE / file, folder)
    (folder / "node_modules").symlink_to(packages(PACKAGE), target_is_directory=True)
    command = ["node", "sign-in.js", json.dumps(list(SIGN_INS.values()))]
    process = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=MINUTES, check=False)
    assert process.returncode == 0, process.stderr
    return dict(zip(SIGN_INS, json.loads(process.stdout), strict=True))


@pytest.fixture
async def shared(make_server) -> Server:
    """A server that shares its secret with a front end, on each database in turn."""
    return await make_server(authjs_secret=SECRET, cors_origins="https://www.example.com")


@pytest.fixture
async def on_sqlite(sqlite_url: str) -> AsyncIterator[Server]:
    """A server on SQLite, for tests of the cookie rather than the data."""
    async with open_server(sqlite_url, authjs_secret=SECRET) as server:
        yield server


def cookie_headers(cookies: dict[str, str], origin: str | None = None) -> dict[str, str]:
    value = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return {"Cookie": value, **({"Origin": origin} if origin else {})}


async def get_viewer(server: Server, cookies: dict[str, str]) -> dict[str, Any] | None:
    """Return the viewer, the same in both protocols; None for an anonymous request, which is no error."""
    response = await server.anonymous.get("/api/auth/me", headers=cookie_headers(cookies))
    graphql_response = await server.anonymous.get("/graphql", params=VIEWER, headers=cookie_headers(cookies))
    listed = await server.anonymous.get("/api/posts", headers=cookie_headers(cookies))
    assert (graphql_response.status_code, listed.status_code) == (200, 200)
    viewer = response.json()["data"] if response.is_success else None
    assert graphql_response.json()["data"]["viewer"] == (viewer and {"name": viewer["name"]})
    return viewer


async def test_a_user_of_the_front_end_is_the_viewer(shared, cookies):
    """With the profile that Auth.js has. All cookie formats identify the same user."""
    me = await get_viewer(shared, cookies["plain"])
    assert {**me, "id": "", "createdAt": ""} == {
        "id": "",
        "createdAt": "",
        "name": "Ann",
        "email": "ann@example.com",
        "image": "https://example.com/ann.png",
        "role": "USER",
    }
    for kind in ("secure", "in chunks", "version 4", "without sub"):
        assert await get_viewer(shared, cookies[kind]) == me, kind
    assert (await get_viewer(shared, cookies["ben"]))["id"] != me["id"]


def test_the_packages_write_the_expected_cookies(cookies):
    """The names, and chunks for a long value."""
    assert list(cookies["plain"]) == ["authjs.session-token"]
    assert list(cookies["secure"]) == ["__Secure-authjs.session-token"]
    assert list(cookies["in chunks"]) == [f"__Secure-authjs.session-token.{number}" for number in range(4)]


async def test_users_of_a_front_end_without_a_database_keep_their_account(shared, cookies):
    """Auth.js generates a new `sub` at each sign-in; only the e-mail address stays."""
    first, second = [await get_viewer(shared, cookies[f"{which} sign-in"]) for which in ("first", "second")]
    assert first == second
    assert await count_rows(shared.db, [User, Identity]) == {"users": 1, "identities": 2}


async def test_a_stable_sub_identifies_the_user_and_not_the_address(shared, cookies):
    """Such as the account at a provider: one row for each, and another user with the same address gets no access."""
    first, again, other = [
        await get_viewer(shared, cookies[which]) for which in ("named", "named again", "named differently")
    ]
    assert first == again
    assert (first["email"], other["email"], first["id"] != other["id"]) == ("ann@example.com", None, True)
    assert await count_rows(shared.db, [User, Identity]) == {"users": 2, "identities": 2}


async def test_a_sub_that_equals_another_users_address_is_another_user(shared, cookies):
    """In either order."""
    mallory, ann = [await get_viewer(shared, cookies[which]) for which in ("an address as sub", "without sub")]
    assert (mallory["name"], ann["name"], mallory["id"] != ann["id"]) == ("Mallory", "Ann", True)
    assert await get_viewer(shared, cookies["an address as sub"]) == mallory


async def test_an_identity_whose_subject_is_a_bare_address_is_found_by_its_address(shared, cookies):
    """The user keeps the account."""
    ann = await shared.account("Ann of Old")
    email = "ann@example.com"
    async with shared.db.writing() as session:
        session.add(Identity(user_id=UUID(ann.id), issuer="authjs", subject=email, email=email))
    assert (await get_viewer(shared, cookies["without sub"]))["id"] == ann.id


async def test_an_unverified_address_is_ignored(shared, cookies):
    """If the claims say that it is unverified."""
    known, unverified = [await get_viewer(shared, cookies[which]) for which in ("first sign-in", "unverified")]
    assert (known["email"], unverified["email"], known["id"] != unverified["id"]) == ("ann@example.com", None, True)


async def test_concurrent_first_requests_create_one_account(shared, cookies):
    """Also those of two sign-ins of one user."""
    headers = [cookie_headers(cookies[f"{which} sign-in"]) for which in ("first", "second")] * 3
    responses = await asyncio.gather(*(shared.anonymous.get("/api/auth/me", headers=each) for each in headers))
    assert len({response.json()["data"]["id"] for response in responses}) == 1
    assert await count_rows(shared.db, [User, Identity]) == {"users": 1, "identities": 2}


async def test_an_email_address_gives_no_access_to_an_existing_account(shared, cookies):
    """Registration does not verify addresses, so neither user may get the other's account."""
    registered = await Rest(shared.anonymous).register(name="Ann", email="ann@example.com", password="a long password")
    me = await get_viewer(shared, cookies["plain"])
    assert (me["id"] != registered["user"]["id"], me["email"]) == (True, None)


def damage(token: str) -> dict[str, str]:
    """Return copies of a token, each with one part changed."""
    header, key, vector, text, tag = token.split(".")
    return {
        "header": f"{header[:-4]}AAAA.{key}.{vector}.{text}.{tag}",
        "key": f"{header}.AAAA.{vector}.{text}.{tag}",
        "vector": f"{header}.{key}.{vector[:-4]}AAAA.{text}.{tag}",
        "text": f"{header}.{key}.{vector}.AAAA{text[4:]}.{tag}",
        "tag": f"{header}.{key}.{vector}.{text}.AAAA{tag[4:]}",
        "no tag": f"{header}.{key}.{vector}.{text}.",
        "too few parts": f"{header}.{key}.{vector}",
        "no header": f".{key}.{vector}.{text}.{tag}",
        "nonsense": "nonsense",
        "empty": "",
        "huge": "a" * 100_000,
    }


async def test_with_an_invalid_cookie_the_request_is_anonymous(on_sqlite, cookies):
    """Changed, expired, of another secret or for another purpose. The cookie is not cleared: it is the front end's."""
    wrong = {
        f"damaged {part}": {"authjs.session-token": token}
        for part, token in damage(cookies["plain"]["authjs.session-token"]).items()
    }
    names = "expired", "another secret", "another salt", "another purpose", "without anything", "rotated"
    wrong |= {name: cookies[name] for name in (*names, "version 4 of another secret")}
    wrong["under another name"] = {"__Secure-authjs.session-token": cookies["plain"]["authjs.session-token"]}
    wrong["a chunk missing"] = dict(list(cookies["in chunks"].items())[:-1])
    wrong["chunks swapped"] = dict(zip(cookies["in chunks"], reversed(cookies["in chunks"].values()), strict=True))
    for case, invalid in wrong.items():
        assert await get_viewer(on_sqlite, invalid) is None, case
    assert await count_rows(on_sqlite.db, [User, Identity]) == {"users": 0, "identities": 0}
    response = await on_sqlite.anonymous.get("/api/posts", headers=cookie_headers(cookies["expired"]))
    assert "Set-Cookie" not in response.headers


async def test_two_secrets_are_accepted_during_a_rotation(sqlite_url, cookies):
    """So rotating signs no user out."""
    async with open_server(sqlite_url, authjs_secret=f"{NEXT_SECRET},{SECRET}") as server:
        assert await get_viewer(server, cookies["rotated"]) == await get_viewer(server, cookies["plain"])


async def test_in_production_a_cookie_needs_a_prefix(make_server, cookies):
    """An attacker on the network can set one without it, also in chunks or of version 4."""
    whole = {name: cookies[name] for name in ("plain", "version 4", "secure", "in chunks", "host prefix")}
    split = dict(zip(("authjs.session-token.0", "authjs.session-token.1"), split_token(cookies["plain"]), strict=True))
    for settings, accepts_plain in (({}, False), ({"cookie_prefixes": "off"}, True)):
        server = await make_server(environment="production", authjs_secret=SECRET, **settings)
        accepted = {
            name: await get_viewer(server, each) is not None for name, each in {**whole, "split": split}.items()
        }
        assert accepted == {
            "plain": accepts_plain,
            "version 4": accepts_plain,
            "secure": True,
            "in chunks": True,
            "host prefix": True,
            "split": accepts_plain,
        }


def split_token(cookies: dict[str, str]) -> tuple[str, str]:
    (token,) = cookies.values()
    return token[:100], token[100:]


async def test_without_a_secret_the_cookie_is_ignored(server, cookies):
    """And so is the request's origin."""
    assert await get_viewer(server, cookies["plain"]) is None
    response = await server.anonymous.post(
        "/graphql", json=VIEWER, headers=cookie_headers(cookies["plain"], "https://evil.example")
    )
    assert response.json() == {"data": {"viewer": None}}


@pytest.mark.parametrize("kind", ["plain", "in chunks", "expired"])
async def test_the_cookie_writes_only_from_allowed_origins(shared, cookies, kind):
    """Like our own session cookie: browsers send it with requests of any site."""

    async def status(path: str, body: dict[str, str], origin: str | None) -> int:
        response = await shared.anonymous.post(path, json=body, headers=cookie_headers(cookies[kind], origin))
        return response.status_code

    for origin in ("https://evil.example", "null", None):
        assert await status("/api/posts", POST, origin) == 403
        assert await status("/graphql", VIEWER, origin) == 403
    for origin in (ORIGIN, "https://www.example.com"):
        assert await status("/api/posts", POST, origin) == (401 if kind == "expired" else 201)


async def test_our_own_session_takes_precedence(shared, cookies):
    """After its end, the session of the front end applies."""
    own = await shared.account("Ann Here")
    both = {"dovetail_session": own.access_token, **cookies["plain"]}
    assert (await get_viewer(shared, both))["name"] == "Ann Here"
    await Rest(shared.anonymous).logout(own.refresh_token)
    assert (await get_viewer(shared, both))["name"] == "Ann"


async def test_the_cookie_opens_web_sockets_only_from_allowed_origins(make_live_server, sqlite_url, cookies):
    """With close code 4403 from others."""
    live: LiveServer = await make_live_server(sqlite_url, authjs_secret=SECRET, cors_origins="https://www.example.com")
    headers = cookie_headers(cookies["in chunks"], "https://www.example.com")
    async with open_socket(live.address, additional_headers=headers) as client:
        assert await client.execute("{ viewer { email } }") == {"email": "ann@example.com"}
    async with live.feed(headers=headers) as feed:
        assert feed.connected.data["type"] == "connected"
    foreign = cookie_headers(cookies["plain"], "https://evil.example")
    async with open_socket(live.address, init=False, additional_headers=foreign) as client:
        await client.send({"type": "connection_init"})
        assert (await client.wait_closed())[0] == 4403


async def test_a_handshake_with_too_long_headers_gets_431(make_live_server, sqlite_url):
    """Rather than no response."""
    live: LiveServer = await make_live_server(sqlite_url)
    with pytest.raises(InvalidStatus) as error:
        async with open_socket(live.address, additional_headers={"Cookie": "x" * 40_000}):
            pass
    assert error.value.response.status_code == 431


def test_a_short_secret_stops_the_start_in_production():
    """With it anybody could make cookies."""
    with pytest.raises(InvalidSettings, match=r"^AUTHJS_SECRET: "):
        build_settings("sqlite+aiosqlite:///x.db", environment="production", authjs_secret="short")
