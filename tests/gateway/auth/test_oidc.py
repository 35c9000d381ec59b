"""Access tokens of an external identity provider: which are accepted, for whom, and which are rejected."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from joserfc.jwk import RSAKey

from gateway.auth import jwks
from gateway.settings import InvalidSettings
from models import Identity, User
from tests.support.accounts import Account
from tests.support.callers import ErrorResponse, GraphQL, Rest
from tests.support.identity_provider import AUDIENCE, GENERATE_KEY, IdentityProvider, sign_token
from tests.support.live_server import LiveServer
from tests.support.servers import SECRET, Server, build_settings, open_server
from tests.support.subscribers import open_socket
from tests.support.waiting import wait_until
from tests.support.writing import CONTENT, count_rows

pytestmark = pytest.mark.anyio

POST = {"title": "From elsewhere", "content": CONTENT}
INVALID = ErrorResponse("UNAUTHORIZED", "The access token is not valid or has expired")
UNREACHABLE = ErrorResponse("UNAVAILABLE", "The identity provider's keys cannot be fetched; try again")


def bearer(token: str) -> Account:
    return Account("", "", "", token, "")


@pytest.fixture
async def on_sqlite(provider: IdentityProvider, sqlite_url: str) -> AsyncIterator[Server]:
    """A server on SQLite, for tests of the token rather than the data."""
    async with open_server(sqlite_url, **provider.settings) as server:
        yield server


@pytest.mark.parametrize("protocol", [GraphQL, Rest])
async def test_the_first_request_of_a_user_creates_an_account(provider, oidc_server, protocol):
    """With the name, e-mail address and picture of the token's claims. Later requests use the same account."""
    api = protocol(oidc_server.anonymous)
    claims = {"email": "Ann@Example.com", "picture": "https://example.com/ann.png"}
    me = await api.me(bearer(provider.token(**claims)))
    assert {**me, "id": "", "createdAt": ""} == {
        "id": "",
        "createdAt": "",
        "name": "Ann Elsewhere",
        "email": "ann@example.com",
        "image": "https://example.com/ann.png",
        "role": "USER",
    }
    assert await api.me(bearer(provider.token(name="Ann Married"))) == me
    assert (await api.create(bearer(provider.token()), **POST))["author"]["id"] == me["id"]
    assert (await api.me(bearer(provider.token(sub="ben", name="Ben"))))["id"] != me["id"]


async def test_concurrent_first_requests_create_one_account(provider, oidc_server):
    """A page sends several requests as soon as it is opened."""
    headers = provider.headers(email="ann@example.com")
    responses = await asyncio.gather(*(oidc_server.anonymous.get("/api/auth/me", headers=headers) for _ in range(6)))
    assert len({response.json()["data"]["id"] for response in responses}) == 1
    assert await count_rows(oidc_server.db, [User, Identity]) == {"users": 1, "identities": 1}


async def test_an_email_address_gives_no_access_to_an_existing_account(provider, oidc_server):
    """Nor does it give whoever registered the address here access to the new account: that one has no address."""
    owner = await Rest(oidc_server.anonymous).register(name="Ann", email="ann@example.com", password="a long password")
    newcomer = await Rest(oidc_server.anonymous).me(bearer(provider.token(email="ann@example.com")))
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
        ({"name": "Ann \ud83d"}, "Ann", None),
        ({"name": "A\0n\nn\u202e" + "x" * 200}, "A n n " + "x" * 94, None),
        ({"picture": "javascript:alert(1)"}, "Ann Elsewhere", None),
    ],
)
async def test_unusable_profile_claims_are_ignored(provider, on_sqlite, claims, name, email):
    """The user is authenticated all the same."""
    me = await Rest(on_sqlite.anonymous).me(bearer(provider.token(**claims)))
    assert (me["name"], me["email"], me["image"]) == (name, email, None)


@pytest.mark.parametrize("algorithm", GENERATE_KEY)
async def test_each_key_type_verifies(provider, on_sqlite, algorithm):
    """RSA, elliptic curve and Edwards curve keys."""
    provider.add_key("other", algorithm)
    assert (await Rest(on_sqlite.anonymous).me(bearer(provider.token("other"))))["name"] == "Ann Elsewhere"


async def test_header_parameters_that_we_do_not_use_are_ignored(provider, on_sqlite):
    """As RFC 7515 section 4 requires: providers add their own, and some add whole certificates."""
    header = {"nonce": "x", "x5c": ["M" * 1_500], "jku": "https://id.example/keys"}
    assert (await Rest(on_sqlite.anonymous).me(bearer(provider.token(header=header))))["name"] == "Ann Elsewhere"


async def test_clock_skew_and_several_audiences_are_accepted(provider, on_sqlite):
    """Up to 30 seconds of skew; and a token may have other audiences as well."""
    now, api = int(time.time()), Rest(on_sqlite.anonymous)
    skewed = {"exp": now - 10}, {"exp": now + 60.5}, {"nbf": now + 10, "iat": now + 10}
    for claims in (*skewed, {"aud": ["elsewhere", AUDIENCE]}):
        assert (await api.me(bearer(provider.token(**claims))))["name"] == "Ann Elsewhere"
    assert (await api.me(bearer(provider.token(header={"typ": "at+jwt"}))))["name"] == "Ann Elsewhere"


def invalid_tokens(provider: IdentityProvider) -> dict[str, str]:
    """Return tokens that must be rejected, by what is wrong with each."""
    now, valid = int(time.time()), provider.token()
    header, payload, signature = valid.split(".")
    provider.add_key("rsa", "RS256")
    provider.keys["short"] = "RS256", RSAKey.generate_key(1024)
    provider.keys["another curve"] = "ES256", GENERATE_KEY["ES384"]()
    public_pem = provider.keys["rsa"][1].as_pem(private=False)
    attacker = RSAKey.generate_key(2048)
    embedded = attacker.as_dict(private=False)
    claims = provider.claims()
    es256, rs256 = {"alg": "ES256", "kid": "one"}, {"alg": "RS256", "kid": "rsa"}
    return {
        "alg none": sign_token({"alg": "none", "typ": "JWT"}, claims),
        "alg None": sign_token({"alg": "None", "typ": "JWT", "kid": "one"}, claims),
        "no alg": sign_token({"typ": "JWT", "kid": "one"}, claims),
        "several algs": sign_token({**es256, "alg": ["ES256"]}, claims, b"x"),
        "public key as secret": sign_token({"alg": "HS256", "typ": "JWT", "kid": "rsa"}, claims, public_pem),
        "public JWK as secret": sign_token({"alg": "HS256", "kid": "rsa"}, claims, str(provider.public_jwk("rsa"))),
        "our secret": sign_token({"alg": "HS256", "kid": "one"}, claims, SECRET),
        "empty signature": f"{header}.{payload}.",
        "shortened signature": f"{header}.{payload}.{signature[:-8]}",
        "signature of another token": f"{header}.{payload}.{provider.token(sub='ben').split('.')[2]}",
        "another key": sign_token(rs256, claims, attacker),
        "another algorithm": sign_token({**rs256, "kid": "one"}, claims, provider.keys["rsa"][1]),
        "a short key": provider.token("short"),
        "a key of another curve": provider.token("another curve"),
        "embedded key": sign_token({**rs256, "jwk": embedded}, claims, attacker),
        "key at another URL": sign_token({**rs256, "kid": "new", "jku": "https://evil.example/keys"}, claims, attacker),
        "no kid among several keys": sign_token({"alg": "RS256"}, claims, attacker),
        "kid is a path": sign_token({**rs256, "kid": "../../dev/null"}, claims, attacker),
        "kid is a list": provider.token(header={"kid": ["one"]}),
        "crit": provider.token(header={"crit": ["exp"], "exp": 1}),
        "empty crit": provider.token(header={"crit": []}),
        "logout token": provider.token(header={"typ": "logout+jwt"}),
        "typ is a number": provider.token(header={"typ": 5}),
        "bound to a key": provider.token(cnf={"jkt": "x"}),
        "expired": provider.token(exp=now - 60),
        "not yet valid": provider.token(nbf=now + 60),
        "issued in the future": provider.token(iat=now + 600),
        "another audience": provider.token(aud="https://other.example"),
        "part of the audience": provider.token(aud=AUDIENCE[:-1]),
        "no audience": provider.token(aud=None),
        "empty audience": provider.token(aud=[]),
        "no sub": provider.token(sub=None),
        "empty sub": provider.token(sub=""),
        "long sub": provider.token(sub="x" * 256),
        "sub is a number": provider.token(sub=5),
        "sub with NUL": provider.token(sub="a\0b"),
        "sub with a lone surrogate": provider.token(sub="a\ud800b"),
        "no exp": provider.token(exp=None),
        "infinite exp": provider.token(exp=float("inf")),
        "exp is a string": provider.token(exp=str(now + 60)),
        "nbf is a string": provider.token(nbf="0"),
        "nbf is a boolean": provider.token(nbf=True),
        "iat is a string": provider.token(iat=str(now)),
        "iat is a boolean": provider.token(iat=True),
        "too long": provider.token(padding="x" * 10_000),
        "deeply nested": sign_token({**es256, "x": [[]]}, claims, b"x").replace(".", "." + "W1tb" * 1500, 1),
        "another issuer": provider.token(iss="https://evil.example/"),
        "longer issuer": provider.token(iss=f"{provider.issuer}x"),
        "several issuers": provider.token(iss=[provider.issuer]),
        "our issuer": provider.token(iss="dovetail"),
        "no dots": "nonsense",
        "only dots": "..",
        "encrypted": "a.b.c.d.e",
    }


async def test_invalid_tokens_are_rejected(provider, on_sqlite):
    """With the same message in both protocols, and without creating an account."""
    for case, token in invalid_tokens(provider).items():
        assert await Rest(on_sqlite.anonymous).me(bearer(token)) == INVALID, case
        assert await GraphQL(on_sqlite.anonymous).me(bearer(token)) == INVALID, case
    assert await count_rows(on_sqlite.db, [User, Identity]) == {"users": 0, "identities": 0}
    assert (await Rest(on_sqlite.anonymous).me(bearer(provider.token())))["name"] == "Ann Elsewhere"


async def test_our_own_tokens_are_accepted_beside_the_providers(provider, oidc_server):
    """The issuer tells them apart."""
    own = await oidc_server.account("Ann Here")
    assert (await Rest(oidc_server.anonymous).me(own))["name"] == "Ann Here"
    assert (await Rest(oidc_server.anonymous).me(bearer(provider.token())))["name"] == "Ann Elsewhere"


async def test_a_new_key_is_fetched_at_its_first_token(provider, on_sqlite, monkeypatch):
    """And a withdrawn key is dropped."""
    monkeypatch.setattr(jwks, "MIN_FETCH_INTERVAL_SECONDS", 0.0)
    api = Rest(on_sqlite.anonymous)
    old = provider.token()
    assert (await api.me(bearer(old)))["name"] == "Ann Elsewhere"
    provider.keys.clear()
    provider.add_key("two", "EdDSA")
    assert (await api.me(bearer(provider.token("two"))))["name"] == "Ann Elsewhere"
    assert await api.me(bearer(old)) == INVALID


async def test_keys_are_refreshed_in_the_background(provider, on_sqlite, monkeypatch):
    """A request with a known key does not wait for it."""
    api, token = Rest(on_sqlite.anonymous), provider.token()
    assert (await api.me(bearer(token)))["name"] == "Ann Elsewhere"
    monkeypatch.setattr(jwks, "MIN_FETCH_INTERVAL_SECONDS", 0.0)
    monkeypatch.setattr(jwks, "MAX_AGE_SECONDS", 0.0)
    provider.may_respond.clear()
    assert (await api.me(bearer(token)))["name"] == "Ann Elsewhere"
    await wait_until(lambda: provider.request_count >= 2)


async def test_a_flood_of_unknown_key_ids_fetches_the_keys_once(provider, on_sqlite):
    """Otherwise an attacker could use this server to overload the provider."""
    api = Rest(on_sqlite.anonymous)
    tokens = [provider.token(header={"kid": f"made up {number}"}) for number in range(50)]
    results = await asyncio.gather(*(api.me(bearer(token)) for token in tokens))
    assert results == [INVALID] * 50
    assert provider.request_count == 1
    assert (await api.me(bearer(provider.token())))["name"] == "Ann Elsewhere"


async def test_malformed_tokens_fetch_no_keys(provider, on_sqlite):
    """They are rejected before the key is looked up."""
    api = Rest(on_sqlite.anonymous)
    for header in ({"kid": ["one"]}, {"crit": []}, {"typ": "logout+jwt"}, {"typ": 5}):
        assert await api.me(bearer(provider.token(header=header))) == INVALID
    assert provider.request_count == 0


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
async def test_cached_keys_are_used_while_the_provider_is_unreachable(provider, on_sqlite, monkeypatch, status, body):
    """Tokens of known keys are accepted. Other tokens cannot be judged: 503, so clients try again."""
    monkeypatch.setattr(jwks, "MIN_FETCH_INTERVAL_SECONDS", 0.0)
    monkeypatch.setattr(jwks, "MAX_AGE_SECONDS", 0.0)
    api = Rest(on_sqlite.anonymous)
    assert (await api.me(bearer(provider.token())))["name"] == "Ann Elsewhere"
    provider.status, provider.body = status, body
    unknown = bearer(provider.token(header={"kid": "new"}))
    response = await on_sqlite.anonymous.get("/api/auth/me", headers=unknown.headers)
    assert (response.status_code, response.json()["error"]) == (503, UNREACHABLE.message)
    assert response.headers["Retry-After"] == "1"
    assert (await api.me(bearer(provider.token())))["name"] == "Ann Elsewhere"


async def test_a_provider_that_was_never_reached_gives_503(sqlite_url):
    """A 401 would make clients sign their users out."""
    unreachable = IdentityProvider(address="http://127.0.0.1:1")
    unreachable.add_key("one")
    async with open_server(sqlite_url, **unreachable.settings) as server:
        response = await server.anonymous.get("/api/auth/me", headers=unreachable.headers())
        assert (response.status_code, response.json()["code"]) == (503, UNREACHABLE.code)
        own = await server.account("Ann Here")
        assert (await Rest(server.anonymous).me(own))["name"] == "Ann Here"


async def test_sockets_and_streams_end_with_their_token(provider, make_live_server, sqlite_url):
    """A stream gets an error when its token expires; a socket can renew it."""
    live: LiveServer = await make_live_server(sqlite_url, **provider.settings)
    short = bearer(provider.token(exp=int(time.time()) - 28))
    async with live.feed(short) as feed, open_socket(live.address, bearer(provider.token())) as client:
        assert await client.execute("{ viewer { name } }") == {"name": "Ann Elsewhere"}
        await client.init(bearer(provider.token()))
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
def test_an_incomplete_or_unsafe_provider_stops_the_start(changes, name):
    """With the name of the wrong setting."""
    complete = {"auth_jwks_url": "https://id.example/keys", "auth_issuer": "https://id.example", "auth_audience": "api"}
    with pytest.raises(InvalidSettings, match=f"^{name}: "):
        build_settings("sqlite+aiosqlite:///x.db", **{**complete, **changes})
