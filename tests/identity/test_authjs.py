"""Who is signed in to a front end with Auth.js is the viewer here, by the cookie that the real package sets."""

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

from gateway.settings import WrongSettings
from models import Identity, User
from tests.clients.packages import MINUTES, packages
from tests.live.listening import Listening
from tests.live.subscribers import socket
from tests.support.callers import Rest
from tests.support.servers import ORIGIN, Server, serving, settings_for
from tests.support.writing import CONTENT, sizes

pytestmark = pytest.mark.anyio

HERE = Path(__file__).parents[1] / "clients" / "authjs"
SECRET, NEXT_SECRET = "secret-of-the-front-end-32-or-more", "what-it-is-rotated-to-32-or-more"
ANN = {"id": "ann-1", "name": "Ann", "email": "ann@example.com", "image": "https://example.com/ann.png"}
NOBODYS = {**ANN, "id": None}
"""Whom a front end without a database has: Auth.js makes up an id at each sign-in."""
CLAIMS = {"sub": "ann-1", "name": "Ann", "email": "ann@example.com"}
POST = {"title": "From a front end", "content": CONTENT}
WHO = {"query": "{ viewer { name } }"}

ASKED = {
    "plain": {"user": ANN, "secret": SECRET},
    "secure": {"user": ANN, "secret": SECRET, "secure": True},
    "in pieces": {"user": {**ANN, "name": "x" * 9_000}, "secret": SECRET, "secure": True},
    "of this host alone": {"token": CLAIMS, "secret": SECRET, "name": "__Host-authjs.session-token"},
    "ben": {"user": {"id": "ben-1", "name": "Ben", "email": "ben@example.com"}, "secret": SECRET},
    "first sign-in": {"user": NOBODYS, "secret": SECRET},
    "second sign-in": {"user": NOBODYS, "secret": SECRET},
    "named": {"user": ANN, "secret": SECRET, "named": True},
    "named again": {"user": {**ANN, "name": "Annie"}, "secret": SECRET, "named": True},
    "named otherwise": {"user": {**ANN, "id": "ann-2"}, "secret": SECRET, "named": True},
    "unproven": {"token": {**CLAIMS, "sub": str(uuid4()), "email_verified": False}, "secret": SECRET},
    "rotated": {"user": ANN, "secret": [NEXT_SECRET, SECRET]},
    "version 4": {"token": CLAIMS, "secret": SECRET, "version": 4},
    "without sub": {"token": {"name": "Ann", "email": "ann@example.com"}, "secret": SECRET},
    "an address as sub": {"token": {"sub": "ann@example.com", "name": "Mallory"}, "secret": SECRET},
    "without anything": {"token": {"name": "Ann"}, "secret": SECRET},
    "expired": {"token": CLAIMS, "secret": SECRET, "maxAge": -60},
    "another secret": {"token": CLAIMS, "secret": "not-the-front-ends-secret-32-or-more"},
    "another salt": {"token": CLAIMS, "secret": SECRET, "salt": "__Secure-authjs.session-token"},
    "for another end": {"token": CLAIMS, "secret": SECRET, "salt": "authjs.pkce.code_verifier"},
    "version 4 of another secret": {"token": CLAIMS, "secret": NEXT_SECRET, "version": 4},
}

Cookies = dict[str, dict[str, str]]


@pytest.fixture(scope="session")
def cookies(tmp_path_factory: pytest.TempPathFactory) -> Cookies:
    """What the packages made of each of the above."""
    folder = tmp_path_factory.mktemp("authjs")
    for file in ("package.json", "sign-in.js"):
        shutil.copy(HERE / file, folder)
    (folder / "node_modules").symlink_to(packages(HERE), target_is_directory=True)
    command = ["node", "sign-in.js", json.dumps(list(ASKED.values()))]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=MINUTES, check=False)
    assert done.returncode == 0, done.stderr
    return dict(zip(ASKED, json.loads(done.stdout), strict=True))


@pytest.fixture
async def fronted(make_server) -> Server:
    """A server behind such a front end, on either database in turn."""
    return await make_server(authjs_secret=SECRET, cors_origins="https://www.example.com")


@pytest.fixture
async def on_sqlite(sqlite_url: str) -> AsyncIterator[Server]:
    """Where what is looked at is the cookie, and not the data."""
    async with serving(sqlite_url, authjs_secret=SECRET) as server:
        yield server


def sent(cookies: dict[str, str], origin: str | None = None) -> dict[str, str]:
    """As a browser sends them."""
    given = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return {"Cookie": given, **({"Origin": origin} if origin else {})}


async def viewer(server: Server, cookies: dict[str, str]) -> dict[str, Any] | None:
    """Who one is with these cookies; None is nobody, whom both protocols answer all the same."""
    answer = await server.anonymous.get("/api/auth/me", headers=sent(cookies))
    over_graphql = await server.anonymous.get("/graphql", params=WHO, headers=sent(cookies))
    listed = await server.anonymous.get("/api/posts", headers=sent(cookies))
    assert (over_graphql.status_code, listed.status_code) == (200, 200)
    said = answer.json()["data"] if answer.is_success else None
    assert over_graphql.json()["data"]["viewer"] == (said and {"name": said["name"]})
    return said


async def test_who_is_signed_in_to_the_front_end_is_so_here(fronted, cookies):
    """With what Auth.js knows of them; and the same person whichever way the cookie is written."""
    me = await viewer(fronted, cookies["plain"])
    assert {**me, "id": "", "createdAt": ""} == {
        "id": "",
        "createdAt": "",
        "name": "Ann",
        "email": "ann@example.com",
        "image": "https://example.com/ann.png",
        "role": "USER",
    }
    for kind in ("secure", "in pieces", "version 4", "without sub"):
        assert await viewer(fronted, cookies[kind]) == me, kind
    assert (await viewer(fronted, cookies["ben"]))["id"] != me["id"]


def test_the_packages_write_what_was_thought(cookies):
    """The names, and pieces where a cookie is too small."""
    assert list(cookies["plain"]) == ["authjs.session-token"]
    assert list(cookies["secure"]) == ["__Secure-authjs.session-token"]
    assert list(cookies["in pieces"]) == [f"__Secure-authjs.session-token.{number}" for number in range(4)]


async def test_front_ends_without_a_database_keep_their_users(fronted, cookies):
    """Auth.js then names a person anew with each sign-in, and only the address stays."""
    first, second = [await viewer(fronted, cookies[f"{which} sign-in"]) for which in ("first", "second")]
    assert first == second
    assert await sizes(fronted.db, [User, Identity]) == {"users": 1, "identities": 2}


async def test_front_ends_may_name_people_so_that_addresses_count_for_nothing(fronted, cookies):
    """By their account at a provider: with one row for each, and none for whoever else has the same address there."""
    first, again, other = [
        await viewer(fronted, cookies[which]) for which in ("named", "named again", "named otherwise")
    ]
    assert first == again
    assert (first["email"], other["email"], first["id"] != other["id"]) == ("ann@example.com", None, True)
    assert await sizes(fronted.db, [User, Identity]) == {"users": 2, "identities": 2}


async def test_a_sub_that_is_somebody_s_address_is_another(fronted, cookies):
    """Whoever comes first."""
    named, ann = [await viewer(fronted, cookies[which]) for which in ("an address as sub", "without sub")]
    assert (named["name"], ann["name"], named["id"] != ann["id"]) == ("Mallory", "Ann", True)
    assert await viewer(fronted, cookies["an address as sub"]) == named


async def test_who_was_kept_by_the_address_alone_stays_who_they_are(fronted, cookies):
    """As they were before an address was marked as one."""
    ann = await fronted.account("Ann of Old")
    email = "ann@example.com"
    async with fronted.db.writing() as session:
        session.add(Identity(user_id=UUID(ann.id), issuer="authjs", subject=email, email=email))
    assert (await viewer(fronted, cookies["without sub"]))["id"] == ann.id


async def test_an_address_that_is_not_proven_counts_for_nothing(fronted, cookies):
    """Where the front end says so."""
    known, unproven = [await viewer(fronted, cookies[which]) for which in ("first sign-in", "unproven")]
    assert (known["email"], unproven["email"], known["id"] != unproven["id"]) == ("ann@example.com", None, True)


async def test_a_page_s_first_requests_make_one_account(fronted, cookies):
    """However many there are, and of two sign-ins at that."""
    headers = [sent(cookies[f"{which} sign-in"]) for which in ("first", "second")] * 3
    answers = await asyncio.gather(*(fronted.anonymous.get("/api/auth/me", headers=each) for each in headers))
    assert len({answer.json()["data"]["id"] for answer in answers}) == 1
    assert await sizes(fronted.db, [User, Identity]) == {"users": 1, "identities": 2}


async def test_an_account_of_ours_with_the_same_address_is_not_theirs(fronted, cookies):
    """Whoever registered it here proved nothing, and neither is handed the other's."""
    registered = await Rest(fronted.anonymous).register(name="Ann", email="ann@example.com", password="a long password")
    me = await viewer(fronted, cookies["plain"])
    assert (me["id"] != registered["user"]["id"], me["email"]) == (True, None)


def damaged(token: str) -> dict[str, str]:
    """A token with something changed in each of its parts."""
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
        "rubbish": "rubbish",
        "nothing": "",
        "huge": "a" * 100_000,
    }


async def test_a_stale_cookie_is_nobody(on_sqlite, cookies):
    """Tampered, expired, of another secret or for another end: the request is anonymous, and the cookie left alone."""
    wrong = {
        f"damaged {part}": {"authjs.session-token": it}
        for part, it in damaged(cookies["plain"]["authjs.session-token"]).items()
    }
    names = "expired", "another secret", "another salt", "for another end", "without anything", "rotated"
    wrong |= {name: cookies[name] for name in (*names, "version 4 of another secret")}
    wrong["under another name"] = {"__Secure-authjs.session-token": cookies["plain"]["authjs.session-token"]}
    wrong["a piece missing"] = dict(list(cookies["in pieces"].items())[:-1])
    wrong["pieces swapped"] = dict(zip(cookies["in pieces"], reversed(cookies["in pieces"].values()), strict=True))
    for what, given in wrong.items():
        assert await viewer(on_sqlite, given) is None, what
    assert await sizes(on_sqlite.db, [User, Identity]) == {"users": 0, "identities": 0}
    answer = await on_sqlite.anonymous.get("/api/posts", headers=sent(cookies["expired"]))
    assert "Set-Cookie" not in answer.headers


async def test_a_secret_is_rotated_without_signing_anybody_out(sqlite_url, cookies):
    """Both are taken for as long as both are set."""
    async with serving(sqlite_url, authjs_secret=f"{NEXT_SECRET},{SECRET}") as server:
        assert await viewer(server, cookies["rotated"]) == await viewer(server, cookies["plain"])


async def test_in_production_a_cookie_has_a_prefix(make_server, cookies):
    """Whoever is between a browser and the domain may set one without, in pieces, too, or of version 4."""
    given = {name: cookies[name] for name in ("plain", "version 4", "secure", "in pieces", "of this host alone")}
    split = dict(zip(("authjs.session-token.0", "authjs.session-token.1"), halves(cookies["plain"]), strict=True))
    for settings, plain_too in (({}, False), ({"cookie_prefixes": "off"}, True)):
        server = await make_server(environment="production", authjs_secret=SECRET, **settings)
        believed = {name: await viewer(server, each) is not None for name, each in {**given, "split": split}.items()}
        assert believed == {
            "plain": plain_too,
            "version 4": plain_too,
            "secure": True,
            "in pieces": True,
            "of this host alone": True,
            "split": plain_too,
        }


def halves(cookies: dict[str, str]) -> tuple[str, str]:
    (token,) = cookies.values()
    return token[:100], token[100:]


async def test_without_the_secret_the_cookie_is_not_looked_at(server, cookies):
    """Not even for where it comes from."""
    assert await viewer(server, cookies["plain"]) is None
    answer = await server.anonymous.post("/graphql", json=WHO, headers=sent(cookies["plain"], "https://evil.example"))
    assert answer.json() == {"data": {"viewer": None}}


@pytest.mark.parametrize("kind", ["plain", "in pieces", "expired"])
async def test_the_cookie_writes_from_the_front_end_s_pages_only(fronted, cookies, kind):
    """As our own does: browsers send it along whoever made the page."""

    async def status(path: str, body: dict[str, str], origin: str | None) -> int:
        answer = await fronted.anonymous.post(path, json=body, headers=sent(cookies[kind], origin))
        return answer.status_code

    for origin in ("https://evil.example", "null", None):
        assert await status("/api/posts", POST, origin) == 403
        assert await status("/graphql", WHO, origin) == 403
    for origin in (ORIGIN, "https://www.example.com"):
        assert await status("/api/posts", POST, origin) == (401 if kind == "expired" else 201)


async def test_our_own_session_comes_before_the_front_end_s(fronted, cookies):
    """Who signed in here meant that; when it has ended, they are still who they are there."""
    ours = await fronted.account("Ann Here")
    both = {"dovetail_session": ours.access_token, **cookies["plain"]}
    assert (await viewer(fronted, both))["name"] == "Ann Here"
    await Rest(fronted.anonymous).logout(ours.refresh_token)
    assert (await viewer(fronted, both))["name"] == "Ann"


async def test_the_cookie_opens_sockets_from_the_front_end_s_pages(listen, sqlite_url, cookies):
    """From others it closes them, as ours does."""
    live: Listening = await listen(sqlite_url, authjs_secret=SECRET, cors_origins="https://www.example.com")
    headers = sent(cookies["in pieces"], "https://www.example.com")
    async with socket(live.address, additional_headers=headers) as client:
        assert await client.asked("{ viewer { email } }") == {"email": "ann@example.com"}
    async with live.feed(headers=headers) as feed:
        assert feed.connected.data["type"] == "connected"
    foreign = sent(cookies["plain"], "https://evil.example")
    async with socket(live.address, init=False, additional_headers=foreign) as client:
        await client.say({"type": "connection_init"})
        assert (await client.closing())[0] == 4403


async def test_a_handshake_that_is_too_long_is_answered(listen, sqlite_url):
    """With 431, where it once was left to wait."""
    live: Listening = await listen(sqlite_url)
    with pytest.raises(InvalidStatus) as refused:
        async with socket(live.address, additional_headers={"Cookie": "x" * 40_000}):
            pass
    assert refused.value.response.status_code == 431


def test_a_short_secret_stops_the_start_in_production():
    """It is all that keeps strangers from making cookies."""
    with pytest.raises(WrongSettings, match=r"^AUTHJS_SECRET: "):
        settings_for("sqlite+aiosqlite:///x.db", environment="production", authjs_secret="short")
