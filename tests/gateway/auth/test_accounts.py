"""Registration, login, refresh and logout."""

import asyncio
from datetime import timedelta
from unittest.mock import ANY
from uuid import UUID

import pytest
from argon2 import Type, extract_parameters
from sqlalchemy import delete

from gateway.adapters.storage import create_storage
from gateway.tasks.cleanup import run_cleanup_jobs
from models import RefreshToken, Role, User, Viewer, new_id, utcnow
from models.errors import NotFound
from resolvers import cleanup, passwords
from resolvers.accounts import promote
from resolvers.tokens import Tokens
from tests.support.accounts import PRODUCTION_HASHER, Account, backdate_used_tokens, build_refresh_token
from tests.support.callers import ErrorResponse
from tests.support.servers import SECRET
from tests.support.waiting import within
from tests.support.writing import CONTENT, change_row, count_rows

PASSWORD = "correct horse battery"
WRONG = ErrorResponse("UNAUTHORIZED", "Wrong email address or password")
NOT_SIGNED_IN = ErrorResponse("UNAUTHORIZED", "Sign in first")
ENDED = ErrorResponse("UNAUTHORIZED", "The session has ended; sign in again")
REUSED = ErrorResponse("UNAUTHORIZED", "The refresh token has already been used; sign in again")
JUST_USED = ErrorResponse(
    "UNAUTHORIZED", "The refresh token has just been used; use the tokens that it was exchanged for"
)


def ann(**changes: str) -> dict[str, str]:
    return {"name": "Ann", "email": "ann@example.com", "password": PASSWORD, **changes}


def to_account(issued: dict) -> Account:
    """Return the account that a login or a registration returned, with its tokens."""
    user = issued["user"]
    return Account(user["id"], user["name"], user["email"], issued["accessToken"], issued["refreshToken"])


async def register(api, **changes: str) -> Account:
    return to_account(await api.register(**ann(**changes)))


async def test_registration_returns_tokens_and_the_account(api):
    """The access token lasts 15 minutes."""
    response = await api.register(**ann(email="Ann@Example.com"))
    user = {"id": ANY, "name": "Ann", "image": None, "createdAt": ANY, "email": "ann@example.com", "role": "USER"}
    assert response == {"accessToken": ANY, "refreshToken": ANY, "expiresIn": 900, "user": user}
    assert await api.me(to_account(response)) == response["user"]


async def test_login_returns_the_same_as_registration(api):
    """The address is not case sensitive."""
    registered = await api.register(**ann())
    response = await api.login(email=" ANN@example.COM ".strip(), password=PASSWORD)
    assert response == {**registered, "accessToken": ANY, "refreshToken": ANY}
    assert response["refreshToken"] != registered["refreshToken"]
    assert await api.me(to_account(response)) == registered["user"]


@pytest.mark.parametrize(
    "email", ["josé@example.com", "jose\u0301@example.com", "ann@bücher.example", "ANN@EXAMPLE.COM", "a+b@example.com"]
)
async def test_login_accepts_the_address_as_it_was_registered(api, email):
    """Upper case and Unicode included."""
    await register(api, email=email)
    assert isinstance(await api.login(email=email, password=PASSWORD), dict)


async def test_the_first_account_is_no_admin(api):
    """Roles are given by the CLI only."""
    assert (await api.register(**ann()))["user"]["role"] == "USER"


async def test_an_address_can_be_registered_once(api, server):
    """Not case sensitive; the existing account does not change."""
    await register(api)
    refusal = await api.register(**ann(email="ANN@example.com", name="Another Ann"))
    assert refusal == ErrorResponse("CONFLICT", "That email address is already registered")
    assert await count_rows(server.db, [User]) == {"users": 1}


async def test_of_concurrent_registrations_of_one_address_one_succeeds(api, server):
    """The others are conflicts."""
    responses = await asyncio.gather(*(api.register(**ann()) for _ in range(4)))
    codes = sorted(response.code if isinstance(response, ErrorResponse) else "" for response in responses)
    assert codes == ["", "CONFLICT", "CONFLICT", "CONFLICT"]
    assert await count_rows(server.db, [User, RefreshToken]) == {"users": 1, "refresh_tokens": 1}


@pytest.mark.parametrize(
    ("changes", "fields"),
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
async def test_an_invalid_registration_names_every_invalid_field(api, server, changes, fields):
    """And creates no account."""
    refusal = await api.register(**ann(**changes))
    assert (refusal.code, sorted(refusal.details)) == ("VALIDATION_ERROR", fields)
    assert await count_rows(server.db, [User, RefreshToken]) == {"users": 0, "refresh_tokens": 0}


@pytest.mark.parametrize("password", ["x" * 8, "x" * 128, "пароль-пароль", "🔑" * 8, "  spaces count  "])
async def test_a_password_has_8_to_128_characters_of_any_kind(api, password):
    """White space is significant."""
    await register(api, password=password)
    assert isinstance(await api.login(email="ann@example.com", password=password), dict)
    assert await api.login(email="ann@example.com", password=password + " ") == WRONG


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_wrong_password_and_an_unknown_address_give_the_same_message(api):
    """tests/security/test_accounts.py shows that they take the same time."""
    await register(api)
    for email in ("ann@example.com", "nobody@example.com"):
        assert await api.login(email=email, password="not the password") == WRONG


@pytest.mark.parametrize("email", ["", "no address", "x" * 10_000, "ann@example.com\n"])
async def test_login_with_an_invalid_address_is_a_client_error(api, email):
    """Never a server error."""
    refusal = await api.login(email=email, password=PASSWORD)
    assert refusal.code in ("UNAUTHORIZED", "VALIDATION_ERROR")


async def test_me_returns_the_viewer(api, author):
    """With the fields that only the owner sees."""
    me = await api.me(author)
    assert me == {
        "id": author.id,
        "name": author.name,
        "image": None,
        "createdAt": ANY,
        "email": author.email,
        "role": "USER",
    }


async def test_an_anonymous_request_has_no_viewer(graphql, rest):
    """`viewer` is null in GraphQL; REST responds with 401."""
    assert await graphql.me(None) is None
    assert await rest.me(None) == NOT_SIGNED_IN


async def test_a_refresh_token_is_exchanged_for_new_tokens(rest, api):
    """Of the same session. The old access token stays valid until it expires."""
    registered = await api.register(**ann())
    exchanged = await rest.refresh(registered["refreshToken"])
    assert exchanged == {**registered, "accessToken": ANY, "refreshToken": ANY}
    assert exchanged["refreshToken"] != registered["refreshToken"]
    for issued in (registered, exchanged):
        assert await api.me(to_account(issued)) == registered["user"]


async def test_reusing_a_refresh_token_ends_its_session(rest, server, api):
    """One of its two users stole it. Other sessions continue."""
    first = await api.register(**ann())
    other = await api.login(email="ann@example.com", password=PASSWORD)
    second = await rest.refresh(first["refreshToken"])
    await backdate_used_tokens(server.db, timedelta(seconds=11))
    assert await rest.refresh(first["refreshToken"]) == REUSED
    assert (await rest.refresh(second["refreshToken"])).code == "UNAUTHORIZED"
    assert await api.publish(to_account(second), new_id().hex) == ENDED
    assert await rest.me(to_account(first)) == ENDED
    assert await rest.me(to_account(other)) == other["user"]


async def test_reusing_a_refresh_token_within_ten_seconds_returns_no_tokens_and_ends_nothing(rest, server, api):
    """Another tab may share it, or a response was lost. Later it is a theft."""
    first = await api.register(**ann())
    second = await rest.refresh(first["refreshToken"])
    assert await rest.refresh(first["refreshToken"]) == JUST_USED
    await backdate_used_tokens(server.db, timedelta(seconds=5))
    assert await rest.refresh(first["refreshToken"]) == JUST_USED
    third = await rest.refresh(second["refreshToken"])
    for issued in (first, second, third):
        assert await rest.me(to_account(issued)) == first["user"]
    await backdate_used_tokens(server.db, timedelta(seconds=11))
    assert await rest.refresh(first["refreshToken"]) == REUSED
    assert await rest.me(to_account(third)) == ENDED


async def test_of_concurrent_refreshes_one_succeeds(rest, api):
    """And the session continues."""
    first = await api.register(**ann())
    responses = await asyncio.gather(*(rest.refresh(first["refreshToken"]) for _ in range(4)))
    (refreshed,) = [response for response in responses if not isinstance(response, ErrorResponse)]
    assert [response for response in responses if response is not refreshed] == [JUST_USED] * 3
    assert await rest.me(to_account(refreshed)) == first["user"]
    assert (await rest.refresh(refreshed["refreshToken"]))["user"] == first["user"]


@pytest.mark.parametrize("token", ["", "nonsense", "x" * 5000, "é", "\0"])
async def test_an_invalid_refresh_token_is_a_client_error(rest, token):
    """Never a server error."""
    refusal = await rest.refresh(token)
    assert refusal.code in ("UNAUTHORIZED", "VALIDATION_ERROR")


async def test_an_expired_refresh_token_is_rejected(rest, server, api):
    """After 30 days."""
    issued = await api.register(**ann())
    async with server.db.writing() as session:
        for token in await session.scalars(RefreshToken.__table__.select().with_only_columns(RefreshToken.id)):
            row = await session.get_one(RefreshToken, token)
            row.expires_at -= timedelta(days=31)
    assert await rest.refresh(issued["refreshToken"]) == ErrorResponse(
        "UNAUTHORIZED", "The refresh token is not valid or has expired"
    )


async def test_logout_ends_the_session_at_once(rest, api):
    """Access token and refresh token are rejected. Other sessions continue."""
    here, there = await register(api), to_account(await api.login(email="ann@example.com", password=PASSWORD))
    assert await rest.logout(here.refresh_token) is None
    assert await rest.me(here) == ENDED
    assert await api.publish(here, new_id().hex) == ENDED
    assert (await rest.refresh(here.refresh_token)).code == "UNAUTHORIZED"
    assert (await rest.me(there))["name"] == "Ann"


async def test_logout_needs_only_the_access_token(rest, api):
    """With an empty body or without a body."""
    for body in ({"json": {}}, {}):
        account = (
            to_account(await api.login(email="ann@example.com", password=PASSWORD))
            if body == {}
            else await register(api)
        )
        response = await rest.send("POST", "/auth/logout", account, **body)
        assert (response.status_code, await rest.me(account)) == (204, ENDED)


async def test_a_promotion_applies_at_once(api, server, author):
    """To existing tokens as well."""
    draft = await api.create(author, title="A draft", content=CONTENT)
    reader = await server.account("Reader")
    assert isinstance(await api.update(reader, draft["id"], title="Edited"), ErrorResponse)
    await promote(server.db, reader.email.upper())
    assert (await api.update(reader, draft["id"], title="Edited"))["title"] == "Edited"
    assert (await api.me(reader))["role"] == "ADMIN"


async def test_promoting_an_unknown_address_raises_not_found(server):
    """With the address in the message."""
    with pytest.raises(NotFound, match=r"nobody@example\.com"):
        await promote(server.db, "nobody@example.com")


async def test_a_demotion_applies_at_once(api, server, admin, author):
    """To existing tokens as well."""
    draft = await api.create(author, title="A draft", content=CONTENT)
    await change_row(server.db, User, admin.id, role=Role.USER)
    assert await api.update(admin, draft["id"], title="Edited") == ErrorResponse("NOT_FOUND", "Post not found")


async def test_the_token_of_a_deleted_account_is_rejected(api, server):
    """Though its signature is valid."""
    deleted = await server.account("Deleted")
    async with server.db.writing() as session:
        await session.execute(delete(RefreshToken))
        await session.execute(delete(User).where(User.email == deleted.email))
    assert await api.create(deleted, title="A post", content=CONTENT) == ENDED
    assert await api.page(deleted) == ENDED


def create_token(**changes) -> str:
    """Return an access token of an admin, signed with other settings."""
    tokens = Tokens(changes.pop("secret", SECRET), **changes)
    return tokens.create_access_token(Viewer(new_id(), Role.ADMIN), new_id())


INVALID_TOKENS = {
    "nonsense": "nonsense",
    "empty": "",
    "another secret": create_token(secret="another secret of at least 32 bytes"),
    "another issuer": create_token(issuer="another"),
    "expired": create_token(access_lifetime=timedelta(seconds=-1)),
    "unknown session": create_token(),
    "unsigned": "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiIxIn0.",
    "not ASCII": "é",
}


@pytest.mark.parametrize("token", INVALID_TOKENS.values(), ids=INVALID_TOKENS)
async def test_an_invalid_bearer_token_is_rejected_by_every_endpoint(server, token):
    """Also where a viewer is optional: a client that sends a token expects it to work."""
    headers = {"Authorization": f"Bearer {token}".encode()}
    requests = [
        server.anonymous.post("/graphql", json={"query": "{ __typename }"}, headers=headers),
        server.anonymous.get("/graphql", params={"query": "{ __typename }"}, headers=headers),
        server.anonymous.get("/api/posts", headers=headers),
        server.anonymous.get(f"/api/posts/{new_id()}", headers=headers),
        server.anonymous.get("/api/auth/me", headers=headers),
        server.anonymous.post("/api/posts", json={}, headers=headers),
    ]
    responses = [await request for request in requests]
    assert [(response.status_code, response.headers.get("WWW-Authenticate")) for response in responses] == [
        (401, "Bearer")
    ] * 6
    codes = [
        response.json().get("code") or response.json()["errors"][0]["extensions"]["code"] for response in responses
    ]
    assert codes == ["UNAUTHORIZED"] * 6


async def test_expired_refresh_tokens_are_deleted(rest, server, monkeypatch):
    """In batches. Used tokens of an active session are kept, to detect their reuse."""
    monkeypatch.setattr("resolvers.cleanup.TOKEN_BATCH_SIZE", 2)
    first = await rest.register(**ann())
    second = await rest.refresh(first["refreshToken"])
    viewer, long_ago = UUID(first["user"]["id"]), utcnow() - timedelta(days=2)
    async with server.db.writing() as session:
        for token in "abcde":
            session.add(build_refresh_token(viewer, new_id(), token, long_ago - utcnow()))
        session.add(build_refresh_token(viewer, new_id(), "just now", timedelta(seconds=-1)))
    assert [await cleanup.delete_expired_tokens(server.db) for _ in range(2)] == [5, 0]
    assert await count_rows(server.db, [RefreshToken]) == {"refresh_tokens": 3}
    await backdate_used_tokens(server.db)
    assert await rest.refresh(first["refreshToken"]) == REUSED
    assert (await rest.refresh(second["refreshToken"])).code == "UNAUTHORIZED"


async def test_expired_refresh_tokens_are_deleted_in_the_background(server, author, monkeypatch, tmp_path):
    """By any of the servers."""
    monkeypatch.setattr("gateway.tasks.cleanup.MAX_INTERVAL", timedelta(milliseconds=20))
    async with server.db.writing() as session:
        session.add(build_refresh_token(UUID(author.id), new_id(), "old", timedelta(days=-2)))
    async with run_cleanup_jobs(server.db, create_storage(f"file://{tmp_path}"), timedelta(days=7)), within(5):
        while await count_rows(server.db, [RefreshToken]) != {"refresh_tokens": 1}:  # noqa: ASYNC110 - a row has no event
            await asyncio.sleep(0.02)


async def test_refresh_tokens_and_passwords_are_stored_as_hashes(api, server, monkeypatch):
    """Passwords with argon2id and at least the parameters that OWASP recommends."""
    monkeypatch.setattr(passwords, "HASHER", PRODUCTION_HASHER)
    issued = await api.register(**ann())
    async with server.db.reading() as session:
        tokens = list(await session.scalars(RefreshToken.__table__.select().with_only_columns(RefreshToken.token_hash)))
        hashes = list(await session.scalars(User.__table__.select().with_only_columns(User.password_hash)))
    assert issued["refreshToken"] not in tokens
    parameters = extract_parameters(hashes[0])
    assert parameters.type is Type.ID
    assert parameters.time_cost >= 2
    assert parameters.memory_cost >= 19 * 1024
