"""Our own access tokens: each known way of forging one is rejected."""

import base64
import time
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from models import new_id
from resolvers.tokens import Tokens
from tests.support.accounts import Account
from tests.support.callers import ErrorResponse, GraphQL, Rest
from tests.support.identity_provider import sign_token
from tests.support.live_server import LiveServer
from tests.support.servers import ORIGIN, SECRET
from tests.support.subscribers import open_socket

pytestmark = pytest.mark.anyio

INVALID = ErrorResponse("UNAUTHORIZED", "The access token is not valid or has expired")
VIEWER = {"query": "{ viewer { name } }"}


def get_claims(token: str) -> dict[str, Any]:
    return jwt.decode(token, OctKey.import_key(SECRET), ["HS256"]).claims


def sign(claims: Any, key: str | bytes = SECRET, **header: Any) -> str:
    return sign_token({"alg": "HS256", "typ": "JWT", **header}, claims, key)


def invalid_tokens(valid: str) -> dict[str, str]:
    """Return tokens that must be rejected, by their one difference from a valid token."""
    claims = get_claims(valid)
    header, payload, signature = valid.split(".")
    now = int(time.time())
    missing = {
        f"no {name}": sign({key: value for key, value in claims.items() if key != name})
        for name in ("exp", "iat", "iss", "role", "sid", "sub")
    }
    admin = sign({**claims, "role": "ADMIN"}).split(".")[1]
    return missing | {
        "alg none": sign_token({"alg": "none", "typ": "JWT"}, claims),
        "alg nOnE": sign_token({"alg": "nOnE", "typ": "JWT"}, claims),
        "alg none, but signed": sign(claims, alg="none"),
        "no alg": sign_token({"typ": "JWT"}, claims, SECRET),
        "several algs": sign(claims, alg=["HS256"]),
        "another hash": sign(claims, alg="HS512"),
        "alg of a public key": sign(claims, alg="RS256"),
        "empty signature": f"{header}.{payload}.",
        "no signature": f"{header}.{payload}",
        "shortened signature": f"{header}.{payload}.{signature[:-2]}",
        "changed claims": f"{header}.{admin}.{signature}",
        "changed header": f"{sign({}, kid='x').split('.')[0]}.{payload}.{signature}",
        "another secret": sign(claims, "another secret, and long enough for HS256"),
        "NUL as secret": sign(claims, b"\0"),
        "embedded secret": sign(claims, "x" * 32, jwk={"kty": "oct", "k": base64.b64encode(b"x" * 32).decode()}),
        "secret in a file": sign(claims, "x" * 32, kid="/dev/null"),
        "another typ": sign(claims, typ="at+jwt"),
        "typ is a number": sign(claims, typ=5),
        "no typ": sign_token({"alg": "HS256"}, claims, SECRET),
        "crit": sign(claims, crit=["exp"], exp=1),
        "empty crit": sign(claims, crit=[]),
        "crit of a supported parameter": sign(claims, crit=["alg"]),
        "unencoded payload": sign(claims, b64=False, crit=["b64"]),
        "expired": sign({**claims, "exp": now - 1}),
        "infinite exp": sign({**claims, "exp": float("inf")}),
        "exp is not a number": sign({**claims, "exp": "tomorrow"}),
        "not yet valid": sign({**claims, "nbf": now + 600}),
        "an audience": sign({**claims, "aud": "dovetail"}),
        "another issuer": sign({**claims, "iss": "dovetail.example"}),
        "several issuers": sign({**claims, "iss": ["dovetail"]}),
        "unknown role": sign({**claims, "role": "ROOT"}),
        "sub is not an id": sign({**claims, "sub": "ann"}),
        "claims are a list": sign([claims]),
        "too long": sign({**claims, "padding": "x" * 10_000}),
        "only dots": "." * 20_000,
        "deeply nested": f"{header}.{base64.urlsafe_b64encode(b'[' * 3_000).decode()}.{signature}",
        "padded": f"{header}.{payload}.{signature}=",
        "not ASCII": f"{header}.{payload}.é",
    }


async def test_iat_in_the_future_is_accepted(server, author):
    """The clock of another server may be ahead."""
    claims = get_claims(author.access_token)
    ahead = sign({**claims, "iat": claims["iat"] + 5, "exp": claims["exp"] + 5})
    viewer = Account(author.id, author.name, author.email, ahead, "")
    assert (await Rest(server.anonymous).me(viewer))["name"] == "Ann Author"


async def test_forged_tokens_are_rejected(server, author):
    """As a bearer token with the same message in both protocols; as a cookie the request is anonymous."""
    rest, graphql = Rest(server.anonymous), GraphQL(server.anonymous)
    for case, token in invalid_tokens(author.access_token).items():
        headers = {"Authorization": f"Bearer {token}".encode()}
        response = await server.anonymous.get("/api/auth/me", headers=headers)
        assert (response.status_code, response.json()["error"]) == (401, INVALID.message), case
        if token.isascii():
            assert await graphql.me(Account("", "", "", token, "")) == INVALID, case
        cookie = {"Cookie": f"dovetail_session={token}".encode(), "Origin": ORIGIN}
        response = await server.anonymous.post("/graphql", json=VIEWER, headers=cookie)
        assert response.json() == {"data": {"viewer": None}}, case
    assert (await rest.me(author))["name"] == "Ann Author"


async def test_the_role_in_a_token_is_not_trusted(server, author):
    """The role comes from the database, even if the token is signed with the secret."""
    promoted = sign({**get_claims(author.access_token), "role": "ADMIN"})
    assert (await Rest(server.anonymous).me(Account("", "", "", promoted, "")))["role"] == "USER"


async def test_an_unknown_session_is_rejected(server, author):
    """Even if the token is signed with the secret."""
    stray = Account("", "", "", sign({**get_claims(author.access_token), "sid": str(new_id())}), "")
    assert await Rest(server.anonymous).me(stray) == ErrorResponse(
        "UNAUTHORIZED", "The session has ended; sign in again"
    )


async def test_the_session_of_another_account_is_rejected(server, author, stranger):
    """A session is valid only for its own account."""
    session_id = get_claims(stranger.access_token)["sid"]
    mixed = sign({**get_claims(author.access_token), "sid": session_id})
    response = await server.anonymous.get("/api/auth/me", headers={"Authorization": f"Bearer {mixed}"})
    assert response.status_code == 401


async def test_web_sockets_reject_forged_tokens(make_live_server, sqlite_url):
    """With close code 4401 and the same message."""
    live: LiveServer = await make_live_server(sqlite_url)
    author = await live.account()
    tokens = invalid_tokens(author.access_token)
    for case in ("alg none", "empty signature", "another typ", "crit", "expired", "too long", "not ASCII"):
        async with open_socket(live.address, init=False) as client:
            await client.send({"type": "connection_init", "payload": {"authorization": f"Bearer {tokens[case]}"}})
            assert await client.wait_closed() == (4401, INVALID.message), case


def test_repr_hides_the_secret():
    """Objects may be logged."""
    assert SECRET not in repr(Tokens(SECRET))
