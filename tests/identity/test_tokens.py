"""Our own access tokens: each way of making one up that has fooled somebody before, and what becomes of it here."""

import base64
import time
from typing import Any

import jwt
import pytest

from models import new_id
from resolvers.tokens import Tokens
from tests.live.listening import Listening
from tests.live.subscribers import socket
from tests.support.accounts import Account
from tests.support.callers import GraphQL, Refusal, Rest
from tests.support.provider import forged
from tests.support.servers import ORIGIN, SECRET

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning"),  # an attacker's key may be short
]

KEY = SECRET.encode()
INVALID = Refusal("UNAUTHORIZED", "The access token is not valid or has expired")
WHO = {"query": "{ viewer { name } }"}


def signed(claims: dict[str, Any], algorithm: str = "HS256", key: str = SECRET, **header: Any) -> str:
    return jwt.encode(claims, key, algorithm, header)


def attacks(good: str) -> dict[str, str]:
    """Tokens that must not be believed, by what is wrong with each; all but what is said is as in a good one."""
    claims = jwt.decode(good, SECRET, ["HS256"])
    head, body, signature = good.split(".")
    now = int(time.time())
    without = {
        f"no {name}": signed({k: v for k, v in claims.items() if k != name}) for name in ("exp", "iss", "sid", "sub")
    }
    admin = forged({"alg": "HS256", "typ": "JWT"}, {**claims, "role": "ADMIN"}).split(".")[1]
    return without | {
        "none": forged({"alg": "none", "typ": "JWT"}, claims),
        "nOnE": forged({"alg": "nOnE", "typ": "JWT"}, claims),
        "none, with a signature": forged({"alg": "none", "typ": "JWT"}, claims, KEY),
        "no algorithm": forged({"typ": "JWT"}, claims, KEY),
        "several algorithms": forged({"alg": ["HS256"], "typ": "JWT"}, claims, KEY),
        "another hash": signed(claims, "HS512"),
        "a public key's algorithm": forged({"alg": "RS256", "typ": "JWT"}, claims, KEY),
        "stripped signature": f"{head}.{body}.",
        "signature left out": f"{head}.{body}",
        "cut signature": f"{head}.{body}.{signature[:-2]}",
        "altered claims": f"{head}.{admin}.{signature}",
        "altered header": f"{forged({'alg': 'HS256', 'typ': 'JWT', 'kid': 'x'}, {}).split('.')[0]}.{body}.{signature}",
        "another secret": signed(claims, key="another secret, and long enough for HS256"),
        "no secret": forged({"alg": "HS256", "typ": "JWT"}, claims, b"\0"),
        "embedded secret": signed(claims, key="x" * 32, jwk={"kty": "oct", "k": base64.b64encode(b"x" * 32).decode()}),
        "secret in a file": signed(claims, key="x" * 32, kid="/dev/null"),
        "another type": signed(claims, typ="at+jwt"),
        "a type of no type": signed(claims, typ=5),
        "no type": forged({"alg": "HS256"}, claims, KEY),
        "critical": signed(claims, crit=["exp"], exp=1),
        "critical and empty": signed(claims, crit=[]),
        "unencoded": forged({"alg": "HS256", "typ": "JWT", "b64": False, "crit": ["b64"]}, claims, KEY),
        "expired": signed({**claims, "exp": now - 1}),
        "ends never": forged({"alg": "HS256", "typ": "JWT"}, {**claims, "exp": float("inf")}, KEY),
        "ends in words": signed({**claims, "exp": "tomorrow"}),
        "not yet": signed({**claims, "nbf": now + 600}),
        "another issuer": signed({**claims, "iss": "dovetail.example"}),
        "several issuers": forged({"alg": "HS256", "typ": "JWT"}, {**claims, "iss": ["dovetail"]}, KEY),
        "no such role": signed({**claims, "role": "ROOT"}),
        "no id": signed({**claims, "sub": "ann"}),
        "claims that are a list": forged({"alg": "HS256", "typ": "JWT"}, [claims], KEY),
        "huge": signed({**claims, "padding": "x" * 10_000}),
        "of nothing but dots": "." * 20_000,
        "deep": f"{head}.{base64.urlsafe_b64encode(b'[' * 3_000).decode()}.{signature}",
        "not ASCII": f"{head}.{body}.é",
    }


async def test_a_token_of_a_server_whose_clock_is_ahead_is_believed(server, author):
    """When it was issued says nothing of what it is good for."""
    claims = jwt.decode(author.access_token, SECRET, ["HS256"])
    ahead = signed({**claims, "iat": claims["iat"] + 5, "exp": claims["exp"] + 5})
    viewer = Account(author.id, author.name, author.email, ahead, "")
    assert (await Rest(server.anonymous).me(viewer))["name"] == "Ann Author"


async def test_no_token_that_is_made_up_is_believed(server, author):
    """Each is refused in the same words over both protocols, and as a cookie makes nobody a viewer."""
    rest, graphql = Rest(server.anonymous), GraphQL(server.anonymous)
    for attack, token in attacks(author.access_token).items():
        headers = {"Authorization": f"Bearer {token}".encode()}
        answer = await server.anonymous.get("/api/auth/me", headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (401, INVALID.message), attack
        if token.isascii():
            assert await graphql.me(Account("", "", "", token, "")) == INVALID, attack
        cookie = {"Cookie": f"dovetail_session={token}".encode(), "Origin": ORIGIN}
        assert (await server.anonymous.post("/graphql", json=WHO, headers=cookie)).json() == {"data": {"viewer": None}}
    assert (await rest.me(author))["name"] == "Ann Author"


async def test_a_role_in_a_token_is_not_taken_at_its_word(server, author):
    """The database is asked, so even who had the secret once is what they are now."""
    claims = jwt.decode(author.access_token, SECRET, ["HS256"])
    promoted = signed({**claims, "role": "ADMIN"})
    assert (await Rest(server.anonymous).me(Account("", "", "", promoted, "")))["role"] == "USER"


async def test_a_session_that_never_was_is_nobody_s(server, author):
    """A token may be signed as well as can be."""
    claims = jwt.decode(author.access_token, SECRET, ["HS256"])
    stray = Account("", "", "", signed({**claims, "sid": str(new_id())}), "")
    assert await Rest(server.anonymous).me(stray) == Refusal("UNAUTHORIZED", "The session has ended; sign in again")


async def test_another_s_session_does_not_lend_itself(server, author, stranger):
    """A session is its account's."""
    theirs = jwt.decode(stranger.access_token, SECRET, ["HS256"])
    mixed = signed({**jwt.decode(author.access_token, SECRET, ["HS256"]), "sid": theirs["sid"]})
    answer = await server.anonymous.get("/api/auth/me", headers={"Authorization": f"Bearer {mixed}"})
    assert answer.status_code == 401


async def test_sockets_believe_no_more_than_requests_do(listen, sqlite_url):
    """4401, with the same words."""
    live: Listening = await listen(sqlite_url)
    author = await live.account()
    wrong = attacks(author.access_token)
    for attack in ("none", "stripped signature", "another type", "critical", "expired", "huge", "not ASCII"):
        async with socket(live.address, init=False) as client:
            await client.say({"type": "connection_init", "payload": {"authorization": f"Bearer {wrong[attack]}"}})
            assert await client.closing() == (4401, INVALID.message), attack


def test_a_secret_is_not_shown():
    """Nor where the object that has it is logged."""
    assert SECRET not in repr(Tokens(SECRET))
