"""An outside identity provider: whom its tokens make a viewer, and which are refused."""

import asyncio
import time
from collections.abc import AsyncIterator

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.auth import jwks
from gateway.settings import WrongSettings
from models import Identity, User
from tests.live.listening import Listening
from tests.live.subscribers import socket
from tests.support.accounts import Account
from tests.support.callers import GraphQL, Refusal, Rest
from tests.support.patience import until
from tests.support.provider import AUDIENCE, MAKERS, IdentityProvider, forged
from tests.support.servers import SECRET, Server, serving, settings_for
from tests.support.writing import CONTENT, sizes

pytestmark = pytest.mark.anyio

POST = {"title": "From elsewhere", "content": CONTENT}
INVALID = Refusal("UNAUTHORIZED", "The access token is not valid or has expired")
ABSENT = Refusal("UNAVAILABLE", "The identity provider's keys cannot be fetched; try again")


def bearing(token: str) -> Account:
    return Account("", "", "", token, "")


@pytest.fixture
async def on_sqlite(provider: IdentityProvider, sqlite_url: str) -> AsyncIterator[Server]:
    """Where what is looked at is the token, and not the data."""
    async with serving(sqlite_url, **provider.settings) as server:
        yield server


@pytest.mark.parametrize("protocol", [GraphQL, Rest])
async def test_who_is_seen_for_the_first_time_gets_an_account(provider, trusting, protocol):
    """With the name, the address and the picture that the provider tells of, and the same one ever after."""
    api = protocol(trusting.anonymous)
    claims = {"email": "Ann@Example.com", "picture": "https://example.com/ann.png"}
    me = await api.me(bearing(provider.token(**claims)))
    assert {**me, "id": "", "createdAt": ""} == {
        "id": "",
        "createdAt": "",
        "name": "Ann Elsewhere",
        "email": "ann@example.com",
        "image": "https://example.com/ann.png",
        "role": "USER",
    }
    assert await api.me(bearing(provider.token(name="Ann Married"))) == me
    assert (await api.create(bearing(provider.token()), **POST))["author"]["id"] == me["id"]
    assert (await api.me(bearing(provider.token(sub="ben", name="Ben"))))["id"] != me["id"]


async def test_requests_that_come_at_once_make_one_account(provider, trusting):
    """As those of a page that has just been opened."""
    headers = provider.headers(email="ann@example.com")
    answers = await asyncio.gather(*(trusting.anonymous.get("/api/auth/me", headers=headers) for _ in range(6)))
    assert len({answer.json()["data"]["id"] for answer in answers}) == 1
    assert await sizes(trusting.db, [User, Identity]) == {"users": 1, "identities": 1}


async def test_an_address_that_is_taken_opens_no_account(provider, trusting):
    """Neither does whoever registered it first get at what comes later: there are two accounts, one without it."""
    owner = await Rest(trusting.anonymous).register(name="Ann", email="ann@example.com", password="a long password")
    newcomer = await Rest(trusting.anonymous).me(bearing(provider.token(email="ann@example.com")))
    assert newcomer["id"] != owner["user"]["id"]
    assert (newcomer["name"], newcomer["email"]) == ("Ann Elsewhere", None)


@pytest.mark.parametrize(
    ("claims", "name", "email"),
    [
        ({"email": "ann@example.com", "email_verified": False}, "Ann Elsewhere", None),
        ({"email": "ann@example.com", "email_verified": True}, "Ann Elsewhere", "ann@example.com"),
        ({"email": "no address"}, "Ann Elsewhere", None),
        ({"email": ["ann@example.com"]}, "Ann Elsewhere", None),
        ({"name": None, "preferred_username": "ann7"}, "ann7", None),
        ({"name": None, "email": "ann@example.com"}, "ann", "ann@example.com"),
        ({"name": " "}, "Somebody", None),
        ({"name": 5}, "Somebody", None),
        ({"name": "A\0n\nn\u202e" + "x" * 200}, "A n n " + "x" * 94, None),
        ({"picture": "javascript:alert(1)"}, "Ann Elsewhere", None),
    ],
)
async def test_what_a_provider_tells_is_taken_with_care(provider, on_sqlite, claims, name, email):
    """What cannot be kept is left out; the person is let in all the same."""
    me = await Rest(on_sqlite.anonymous).me(bearing(provider.token(**claims)))
    assert (me["name"], me["email"], me["image"]) == (name, email, None)


@pytest.mark.parametrize("algorithm", MAKERS)
async def test_each_kind_of_key_verifies(provider, on_sqlite, algorithm):
    """RSA, elliptic curves, and Edwards'."""
    provider.make("other", algorithm)
    assert (await Rest(on_sqlite.anonymous).me(bearing(provider.token("other"))))["name"] == "Ann Elsewhere"


async def test_clocks_may_differ_a_little_and_audiences_may_be_several(provider, on_sqlite):
    """By thirty seconds; and a token may be for others as well."""
    now, api = int(time.time()), Rest(on_sqlite.anonymous)
    differing = {"exp": now - 10}, {"exp": now + 60.5}, {"nbf": now + 10, "iat": now + 10}
    for claims in (*differing, {"aud": ["elsewhere", AUDIENCE]}):
        assert (await api.me(bearing(provider.token(**claims))))["name"] == "Ann Elsewhere"
    assert (await api.me(bearing(provider.token(header={"typ": "at+jwt"}))))["name"] == "Ann Elsewhere"


def attacks(provider: IdentityProvider) -> dict[str, str]:
    """Tokens that must not be believed, by what is wrong with each."""
    now, good = int(time.time()), provider.token()
    head, body, signature = good.split(".")
    provider.make("rsa", "RS256")
    public = provider.keys["rsa"][1].public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    own = rsa.generate_private_key(65537, 2048)
    embedded = jwt.algorithms.RSAAlgorithm.to_jwk(own.public_key(), as_dict=True)
    claims = provider.claims()
    return {
        "none": forged({"alg": "none", "typ": "JWT"}, claims),
        "None": forged({"alg": "None", "typ": "JWT", "kid": "one"}, claims),
        "no algorithm": forged({"typ": "JWT", "kid": "one"}, claims),
        "algorithms": forged({"alg": ["ES256"], "kid": "one"}, claims, b"x"),
        "public key as secret": forged({"alg": "HS256", "typ": "JWT", "kid": "rsa"}, claims, pem),
        "public JWK as secret": forged({"alg": "HS256", "kid": "rsa"}, claims, str(provider.public("rsa")).encode()),
        "our secret": jwt.encode(claims, SECRET, "HS256", {"kid": "one"}),
        "stripped signature": f"{head}.{body}.",
        "cut signature": f"{head}.{body}.{signature[:-8]}",
        "another's signature": f"{head}.{body}.{provider.token(sub='ben').split('.')[2]}",
        "another key": jwt.encode(claims, own, "RS256", {"kid": "rsa"}),
        "another algorithm": jwt.encode(claims, provider.keys["rsa"][1], "RS256", {"kid": "one"}),
        "embedded key": jwt.encode(claims, own, "RS256", {"kid": "rsa", "jwk": embedded}),
        "key elsewhere": jwt.encode(claims, own, "RS256", {"kid": "new", "jku": "https://evil.example/keys"}),
        "no kid of several": jwt.encode(claims, own, "RS256"),
        "kid as a path": jwt.encode(claims, own, "RS256", {"kid": "../../dev/null"}),
        "critical": provider.token(header={"crit": ["exp"], "exp": 1}),
        "logout token": provider.token(header={"typ": "logout+jwt"}),
        "bound to a key": provider.token(cnf={"jkt": "x"}),
        "expired": provider.token(exp=now - 60),
        "not yet": provider.token(nbf=now + 60),
        "from the future": provider.token(iat=now + 600),
        "another audience": provider.token(aud="https://other.example"),
        "part of the audience": provider.token(aud=AUDIENCE[:-1]),
        "no audience": provider.token(aud=None),
        "no subject": provider.token(sub=None),
        "empty subject": provider.token(sub=""),
        "long subject": provider.token(sub="x" * 256),
        "subject with NUL": provider.token(sub="a\0b"),
        "subject with half a letter": provider.token(sub="a\ud800b"),
        "no end": provider.token(exp=None),
        "end without end": forged({"alg": "ES256", "kid": "one"}, provider.claims(exp=float("inf")), b"x"),
        "end as text": provider.token(exp=str(now + 60)),
        "begin as text": provider.token(nbf="0"),
        "begin as truth": provider.token(nbf=True),
        "issued as text": provider.token(iat=str(now)),
        "issued as truth": provider.token(iat=True),
        "huge": provider.token(padding="x" * 10_000),
        "deep": forged({"alg": "ES256", "kid": "one", "x": [[]]}, claims, b"x").replace(".", "." + "W1tb" * 1500, 1),
        "another issuer": provider.token(iss="https://evil.example/"),
        "issuer and more": provider.token(iss=f"{provider.issuer}x"),
        "issuers": forged({"alg": "ES256", "kid": "one"}, provider.claims(iss=[provider.issuer]), b"x"),
        "our issuer": provider.token(iss="dovetail"),
        "no dots": "nonsense",
        "dots": "..",
        "encrypted": "a.b.c.d.e",
    }


async def test_no_token_that_is_wrong_is_believed(provider, on_sqlite):
    """Each is refused in the same words, over both protocols, and makes no account."""
    for attack, token in attacks(provider).items():
        assert await Rest(on_sqlite.anonymous).me(bearing(token)) == INVALID, attack
        assert await GraphQL(on_sqlite.anonymous).me(bearing(token)) == INVALID, attack
    assert await sizes(on_sqlite.db, [User, Identity]) == {"users": 0, "identities": 0}
    assert (await Rest(on_sqlite.anonymous).me(bearing(provider.token())))["name"] == "Ann Elsewhere"


async def test_our_own_tokens_are_believed_beside_the_provider_s(provider, trusting):
    """They are told apart by their issuer; neither key signs for the other."""
    ours = await trusting.account("Ann Here")
    assert (await Rest(trusting.anonymous).me(ours))["name"] == "Ann Here"
    assert (await Rest(trusting.anonymous).me(bearing(provider.token())))["name"] == "Ann Elsewhere"


async def test_a_new_key_is_fetched_when_a_token_names_it(provider, on_sqlite, monkeypatch):
    """And one that was withdrawn is forgotten."""
    monkeypatch.setattr(jwks, "MIN_FETCH_INTERVAL_SECONDS", 0.0)
    api = Rest(on_sqlite.anonymous)
    old = provider.token()
    assert (await api.me(bearing(old)))["name"] == "Ann Elsewhere"
    provider.keys.clear()
    provider.make("two", "EdDSA")
    assert (await api.me(bearing(provider.token("two"))))["name"] == "Ann Elsewhere"
    assert await api.me(bearing(old)) == INVALID


async def test_keys_are_fetched_anew_after_a_while_beside_the_requests(provider, on_sqlite, monkeypatch):
    """Nobody waits for that who has a key that is known."""
    api, token = Rest(on_sqlite.anonymous), provider.token()
    assert (await api.me(bearing(token)))["name"] == "Ann Elsewhere"
    monkeypatch.setattr(jwks, "MIN_FETCH_INTERVAL_SECONDS", 0.0)
    monkeypatch.setattr(jwks, "MAX_AGE_SECONDS", 0.0)
    provider.may_answer.clear()
    assert (await api.me(bearing(token)))["name"] == "Ann Elsewhere"
    await until(lambda: provider.asked >= 2)


async def test_a_flood_of_unknown_keys_asks_the_provider_once(provider, on_sqlite):
    """Whoever makes up names of keys does not make us a weapon against it."""
    api = Rest(on_sqlite.anonymous)
    tokens = [provider.token(header={"kid": f"made up {number}"}) for number in range(50)]
    refused = await asyncio.gather(*(api.me(bearing(token)) for token in tokens))
    assert refused == [INVALID] * 50
    assert provider.asked == 1
    assert (await api.me(bearing(provider.token())))["name"] == "Ann Elsewhere"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, None),
        (302, None),
        (200, b"not JSON"),
        (200, b'{"keys": []}'),
        (200, b'{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "one"}]}'),
        (200, b'{"keys": [{"kty": "RSA", "key_ops": 5}]}'),
        (200, b"[" * 1000),
        (200, b" " * 300_000 + b"{}"),
    ],
)
async def test_keys_are_kept_while_the_provider_is_away(provider, on_sqlite, monkeypatch, status, body):
    """Who has a token of a known key notices nothing; of others it cannot be told, so they are to try again."""
    monkeypatch.setattr(jwks, "MIN_FETCH_INTERVAL_SECONDS", 0.0)
    monkeypatch.setattr(jwks, "MAX_AGE_SECONDS", 0.0)
    api = Rest(on_sqlite.anonymous)
    assert (await api.me(bearing(provider.token())))["name"] == "Ann Elsewhere"
    provider.status, provider.body = status, body
    unknown = bearing(provider.token(header={"kid": "new"}))
    answer = await on_sqlite.anonymous.get("/api/auth/me", headers=unknown.headers)
    assert (answer.status_code, answer.json()["error"], answer.headers["Retry-After"]) == (503, ABSENT.message, "1")
    assert (await api.me(bearing(provider.token())))["name"] == "Ann Elsewhere"


async def test_a_provider_that_was_never_reached_is_no_verdict_on_a_token(sqlite_url):
    """503, which clients try again, where a 401 would sign their users out."""
    lost = IdentityProvider(address="http://127.0.0.1:1")
    lost.make("one")
    async with serving(sqlite_url, **lost.settings) as server:
        answer = await server.anonymous.get("/api/auth/me", headers=lost.headers())
        assert (answer.status_code, answer.json()["code"]) == (503, ABSENT.code)
        ours = await server.account("Ann Here")
        assert (await Rest(server.anonymous).me(ours))["name"] == "Ann Here"


async def test_a_token_signs_in_to_sockets_and_streams_until_it_ends(provider, listen, sqlite_url):
    """A stream is told when its token expires; a socket goes on with a newer one."""
    live: Listening = await listen(sqlite_url, **provider.settings)
    short = bearing(provider.token(exp=int(time.time()) - 28))
    async with live.feed(short) as feed, socket(live.address, bearing(provider.token())) as client:
        assert await client.asked("{ viewer { name } }") == {"name": "Ann Elsewhere"}
        await client.initialise(bearing(provider.token()))
        assert (await feed.frame(8)).data == {"type": "error", "code": "UNAUTHORIZED"}


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"auth_issuer": None}, "AUTH_ISSUER"),
        ({"auth_audience": ""}, "AUTH_AUDIENCE"),
        ({"auth_jwks_url": None}, "AUTH_JWKS_URL"),
        ({"auth_jwks_url": "ftp://id.example"}, "AUTH_JWKS_URL"),
        ({"auth_issuer": "dovetail"}, "AUTH_ISSUER"),
        ({"environment": "production", "auth_jwks_url": "http://id.example/keys"}, "AUTH_JWKS_URL"),
    ],
)
def test_half_a_provider_stops_the_start(changes, name):
    """With the name of what is missing, or not safe."""
    whole = {"auth_jwks_url": "https://id.example/keys", "auth_issuer": "https://id.example", "auth_audience": "api"}
    with pytest.raises(WrongSettings, match=f"^{name}: "):
        settings_for("sqlite+aiosqlite:///x.db", **{**whole, **changes})
