"""Registering, signing in, staying signed in, and signing out."""

import asyncio
from datetime import timedelta
from unittest.mock import ANY
from uuid import UUID

import pytest
from argon2 import Type, extract_parameters
from sqlalchemy import delete

from gateway.adapters.storage import storage_of
from gateway.tasks.cleanup import housekeeping
from models import RefreshToken, Role, User, Viewer, new_id, utcnow
from models.errors import NotFound
from resolvers import passwords, sessions
from resolvers.accounts import promote
from resolvers.tokens import Tokens
from tests.support.accounts import DEAR, Account, family, used
from tests.support.callers import Refusal
from tests.support.patience import within
from tests.support.servers import SECRET
from tests.support.writing import CONTENT, change_row, sizes

PASSWORD = "correct horse battery"
WRONG = Refusal("UNAUTHORIZED", "Wrong email address or password")
SIGN_IN = Refusal("UNAUTHORIZED", "Sign in first")
ENDED = Refusal("UNAUTHORIZED", "The session has ended; sign in again")
USED = Refusal("UNAUTHORIZED", "The refresh token was used before; sign in again")
JUST_USED = Refusal("UNAUTHORIZED", "The refresh token has just been used; go on with what it was exchanged for")
NOT_VALID = Refusal("UNAUTHORIZED", "The access token is not valid or has expired")


def ann(**changes: str) -> dict[str, str]:
    return {"name": "Ann", "email": "ann@example.com", "password": PASSWORD, **changes}


def holder(issued: dict) -> Account:
    """Whoever holds what signing in gave."""
    user = issued["user"]
    return Account(user["id"], user["name"], user["email"], issued["accessToken"], issued["refreshToken"])


async def register(api, **changes: str) -> Account:
    return holder(await api.register(**ann(**changes)))


async def test_registering_signs_in(api):
    """Tokens for fifteen minutes and a month, and the account as its owner sees it."""
    answer = await api.register(**ann(email="Ann@Example.com"))
    user = {"id": ANY, "name": "Ann", "image": None, "createdAt": ANY, "email": "ann@example.com", "role": "USER"}
    assert answer == {"accessToken": ANY, "refreshToken": ANY, "expiresIn": 900, "user": user}
    assert await api.me(holder(answer)) == answer["user"]


async def test_signing_in_answers_as_registering_does(api):
    """The address is one in any case."""
    registered = await api.register(**ann())
    answer = await api.login(email=" ANN@example.COM ".strip(), password=PASSWORD)
    assert answer == {**registered, "accessToken": ANY, "refreshToken": ANY}
    assert answer["refreshToken"] != registered["refreshToken"]
    assert await api.me(holder(answer)) == registered["user"]


@pytest.mark.parametrize(
    "email", ["josé@example.com", "jose\u0301@example.com", "ann@bücher.example", "ANN@EXAMPLE.COM", "a+b@example.com"]
)
async def test_who_registers_signs_in_with_the_same_address(api, email):
    """However it is spelled."""
    await register(api, email=email)
    assert isinstance(await api.login(email=email, password=PASSWORD), dict)


async def test_a_first_account_is_not_special(api):
    """Nobody is an admin by coming first."""
    assert (await api.register(**ann()))["user"]["role"] == "USER"


async def test_an_address_is_registered_once(api, server):
    """In any case; and the first account is as it was."""
    await register(api)
    refusal = await api.register(**ann(email="ANN@example.com", name="Another Ann"))
    assert refusal == Refusal("CONFLICT", "That email address is already registered")
    assert await sizes(server.db, [User]) == {"users": 1}


async def test_of_many_registrations_of_one_address_one_succeeds(api, server):
    """At the same moment, too."""
    answers = await asyncio.gather(*(api.register(**ann()) for _ in range(4)))
    codes = sorted(answer.code if isinstance(answer, Refusal) else "" for answer in answers)
    assert codes == ["", "CONFLICT", "CONFLICT", "CONFLICT"]
    assert await sizes(server.db, [User, RefreshToken]) == {"users": 1, "refresh_tokens": 1}


@pytest.mark.parametrize(
    ("wrong", "fields"),
    [
        ({"password": "seven77"}, ["password"]),
        ({"password": "x" * 129}, ["password"]),
        ({"email": "no address"}, ["email"]),
        ({"email": "a" * 250 + "@example.com"}, ["email"]),
        ({"email": "ann@example.com\0"}, ["email"]),
        ({"email": "ann@@example.com"}, ["email"]),
        ({"name": ""}, ["name"]),
        ({"name": "   "}, ["name"]),
        ({"name": "x" * 101}, ["name"]),
        ({"name": "nul\0"}, ["name"]),
        ({"name": "", "password": "short"}, ["name", "password"]),
    ],
    ids=str,
)
async def test_a_wrong_registration_is_refused_by_field(api, server, wrong, fields):
    """Every wrong field at once, and no account."""
    refusal = await api.register(**ann(**wrong))
    assert (refusal.code, sorted(refusal.details)) == ("VALIDATION_ERROR", fields)
    assert await sizes(server.db, [User, RefreshToken]) == {"users": 0, "refresh_tokens": 0}


@pytest.mark.parametrize("password", ["x" * 8, "x" * 128, "пароль-пароль", "🔑" * 8, "  spaces count  "])
async def test_a_password_has_8_to_128_characters_of_any_kind(api, password):
    """And is taken as it was typed."""
    await register(api, password=password)
    assert isinstance(await api.login(email="ann@example.com", password=password), dict)
    assert await api.login(email="ann@example.com", password=password + " ") == WRONG


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_wrong_password_and_an_unknown_address_are_told_alike(api):
    """In the same words; tests/attacks/test_accounts.py shows that it costs the same."""
    await register(api)
    for email in ("ann@example.com", "nobody@example.com"):
        assert await api.login(email=email, password="not the password") == WRONG


@pytest.mark.parametrize("email", ["", "no address", "x" * 10_000, "ann@example.com\n"])
async def test_signing_in_with_what_is_no_address_is_a_4xx(api, email):
    """Whatever it says, it tells nobody anything."""
    refusal = await api.login(email=email, password=PASSWORD)
    assert refusal.code in ("UNAUTHORIZED", "VALIDATION_ERROR")


async def test_me_is_the_viewer(api, author):
    """As its owner sees it."""
    me = await api.me(author)
    assert me == {
        "id": author.id,
        "name": author.name,
        "image": None,
        "createdAt": ANY,
        "email": author.email,
        "role": "USER",
    }


async def test_nobody_is_nobody(graphql, rest):
    """GraphQL's viewer is null; REST, which has only the viewer to give, refuses."""
    assert await graphql.me(None) is None
    assert await rest.me(None) == SIGN_IN


async def test_a_refresh_token_is_exchanged_once(rest, api):
    """For new tokens of the same session; the access token goes on until it expires."""
    registered = await api.register(**ann())
    exchanged = await rest.refresh(registered["refreshToken"])
    assert exchanged == {**registered, "accessToken": ANY, "refreshToken": ANY}
    assert exchanged["refreshToken"] != registered["refreshToken"]
    for issued in (registered, exchanged):
        assert await api.me(holder(issued)) == registered["user"]


async def test_a_refresh_token_used_again_ends_its_session(rest, server, api):
    """One of its two users stole it, so neither goes on; other sessions do."""
    first = await api.register(**ann())
    other = await api.login(email="ann@example.com", password=PASSWORD)
    second = await rest.refresh(first["refreshToken"])
    await used(server.db, timedelta(seconds=11))
    assert await rest.refresh(first["refreshToken"]) == USED
    assert (await rest.refresh(second["refreshToken"])).code == "UNAUTHORIZED"
    assert await api.publish(holder(second), new_id().hex) == ENDED
    assert await rest.me(holder(first)) == ENDED
    assert await rest.me(holder(other)) == other["user"]


async def test_a_refresh_token_used_again_at_once_gives_nothing_and_ends_nothing(rest, server, api):
    """It is the other tab, or who had no answer: whoever came first goes on. After ten seconds it is a theft."""
    first = await api.register(**ann())
    second = await rest.refresh(first["refreshToken"])
    assert await rest.refresh(first["refreshToken"]) == JUST_USED
    await used(server.db, timedelta(seconds=5))
    assert await rest.refresh(first["refreshToken"]) == JUST_USED
    third = await rest.refresh(second["refreshToken"])
    for issued in (first, second, third):
        assert await rest.me(holder(issued)) == first["user"]
    await used(server.db, timedelta(seconds=11))
    assert await rest.refresh(first["refreshToken"]) == USED
    assert await rest.me(holder(third)) == ENDED


async def test_of_several_exchanges_at_once_one_succeeds(rest, api):
    """And its session goes on."""
    first = await api.register(**ann())
    answers = await asyncio.gather(*(rest.refresh(first["refreshToken"]) for _ in range(4)))
    (won,) = [answer for answer in answers if not isinstance(answer, Refusal)]
    assert [answer for answer in answers if answer is not won] == [JUST_USED] * 3
    assert await rest.me(holder(won)) == first["user"]
    assert (await rest.refresh(won["refreshToken"]))["user"] == first["user"]


@pytest.mark.parametrize("token", ["", "rubbish", "x" * 5000, "é", "\0"])
async def test_a_refresh_token_that_is_none_is_refused(rest, token):
    """Never a fault."""
    refusal = await rest.refresh(token)
    assert refusal.code in ("UNAUTHORIZED", "VALIDATION_ERROR")


async def test_an_expired_refresh_token_is_refused(rest, server, api):
    """After thirty days."""
    issued = await api.register(**ann())
    async with server.db.writing() as session:
        for token in await session.scalars(RefreshToken.__table__.select().with_only_columns(RefreshToken.id)):
            row = await session.get_one(RefreshToken, token)
            row.expires_at -= timedelta(days=31)
    assert await rest.refresh(issued["refreshToken"]) == Refusal(
        "UNAUTHORIZED", "The refresh token is not valid or has expired"
    )


async def test_signing_out_works_at_once(rest, api):
    """The access token stops working, and so does the refresh token; other sessions go on."""
    here, there = await register(api), holder(await api.login(email="ann@example.com", password=PASSWORD))
    assert await rest.logout(here.refresh_token) is None
    assert await rest.me(here) == ENDED
    assert await api.publish(here, new_id().hex) == ENDED
    assert (await rest.refresh(here.refresh_token)).code == "UNAUTHORIZED"
    assert (await rest.me(there))["name"] == "Ann"


async def test_signing_out_with_the_access_token_alone_ends_its_session(rest, api):
    """Even with an empty body, or none."""
    for body in ({"json": {}}, {}):
        account = (
            holder(await api.login(email="ann@example.com", password=PASSWORD)) if body == {} else await register(api)
        )
        answer = await rest.send("POST", "/auth/logout", account, **body)
        assert (answer.status_code, await rest.me(account)) == (204, ENDED)


async def test_a_promotion_takes_effect_at_once(api, server, author, draft):
    """The token that was given before has the new role."""
    reader = await server.account("Reader")
    assert isinstance(await api.update(reader, draft["id"], title="Edited"), Refusal)
    await promote(server.db, reader.email.upper())
    assert (await api.update(reader, draft["id"], title="Edited"))["title"] == "Edited"
    assert (await api.me(reader))["role"] == "ADMIN"


async def test_promoting_nobody_says_so(server):
    """The command's own refusal."""
    with pytest.raises(NotFound, match=r"nobody@example\.com"):
        await promote(server.db, "nobody@example.com")


async def test_a_demotion_takes_effect_at_once(api, server, admin, draft):
    """The role in the token does not outlive the role."""
    await change_row(server.db, User, admin.id, role=Role.USER)
    assert await api.update(admin, draft["id"], title="Edited") == Refusal("NOT_FOUND", "Post not found")


async def test_the_token_of_somebody_who_is_gone_is_refused(api, server):
    """Though it verifies."""
    gone = await server.account("Gone")
    async with server.db.writing() as session:
        await session.execute(delete(RefreshToken))
        await session.execute(delete(User).where(User.email == gone.email))
    assert await api.create(gone, title="From beyond", content=CONTENT) == ENDED
    assert await api.page(gone) == ENDED


def forged(**changes) -> str:
    """An access token that somebody else could have made."""
    tokens = Tokens(changes.pop("secret", SECRET), **changes)
    return tokens.access(Viewer(new_id(), Role.ADMIN), new_id())


BAD_TOKENS = {
    "rubbish": "rubbish",
    "empty": "",
    "signed by another": forged(secret="another secret of at least 32 bytes"),
    "by another issuer": forged(issuer="another"),
    "expired": forged(access_life=timedelta(seconds=-1)),
    "of no session": forged(),
    "unsigned": "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiIxIn0.",
    "not ASCII": "é",
}


@pytest.mark.parametrize("token", BAD_TOKENS.values(), ids=BAD_TOKENS)
async def test_a_bearer_token_that_does_not_verify_is_refused_everywhere(server, token):
    """Even where a viewer is optional: who sends one wants to know that it does not work."""
    headers = {"Authorization": f"Bearer {token}".encode()}
    requests = [
        server.anonymous.post("/graphql", json={"query": "{ __typename }"}, headers=headers),
        server.anonymous.get("/graphql", params={"query": "{ __typename }"}, headers=headers),
        server.anonymous.get("/api/posts", headers=headers),
        server.anonymous.get(f"/api/posts/{new_id()}", headers=headers),
        server.anonymous.get("/api/auth/me", headers=headers),
        server.anonymous.post("/api/posts", json={}, headers=headers),
    ]
    answers = [await request for request in requests]
    assert [(answer.status_code, answer.headers.get("WWW-Authenticate")) for answer in answers] == [(401, "Bearer")] * 6
    codes = [answer.json().get("code") or answer.json()["errors"][0]["extensions"]["code"] for answer in answers]
    assert codes == ["UNAUTHORIZED"] * 6


async def test_refresh_tokens_are_forgotten_when_they_have_expired(rest, server, monkeypatch):
    """Page by page, and no sooner: a used one of a session that goes on is still known as stolen."""
    monkeypatch.setattr("resolvers.sessions.AT_ONCE", 2)
    first = await rest.register(**ann())
    second = await rest.refresh(first["refreshToken"])
    viewer, long_ago = UUID(first["user"]["id"]), utcnow() - timedelta(days=2)
    async with server.db.writing() as session:
        for token in "abcde":
            session.add(family(viewer, new_id(), token, long_ago - utcnow()))
        session.add(family(viewer, new_id(), "just now", timedelta(seconds=-1)))
    assert [await sessions.forget(server.db) for _ in range(2)] == [5, 0]
    assert await sizes(server.db, [RefreshToken]) == {"refresh_tokens": 3}
    await used(server.db)
    assert await rest.refresh(first["refreshToken"]) == USED
    assert (await rest.refresh(second["refreshToken"])).code == "UNAUTHORIZED"


async def test_what_has_expired_is_forgotten_in_the_background(server, author, monkeypatch, tmp_path):
    """By whichever server comes first."""
    monkeypatch.setattr("gateway.tasks.cleanup.OFTEN", timedelta(milliseconds=20))
    async with server.db.writing() as session:
        session.add(family(UUID(author.id), new_id(), "old", timedelta(days=-2)))
    async with housekeeping(server.db, storage_of(f"file://{tmp_path}"), timedelta(days=7)), within(5):
        while await sizes(server.db, [RefreshToken]) != {"refresh_tokens": 1}:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.02)


async def test_a_refresh_token_is_kept_only_as_a_digest(api, server, monkeypatch):
    """Who reads the table cannot sign in with it, nor with a password, for which guesses are dear."""
    monkeypatch.setattr(passwords, "HASHER", DEAR)
    issued = await api.register(**ann())
    async with server.db.reading() as session:
        tokens = list(await session.scalars(RefreshToken.__table__.select().with_only_columns(RefreshToken.token_hash)))
        hashes = list(await session.scalars(User.__table__.select().with_only_columns(User.password_hash)))
    assert issued["refreshToken"] not in tokens
    kept = extract_parameters(hashes[0])
    assert (kept.type, kept.time_cost >= 2, kept.memory_cost >= 19 * 1024) == (Type.ID, True, True)  # OWASP's least
