"""Attacks on accounts: finding out which exist, and using stolen tokens."""

import pytest

from resolvers import passwords
from tests.support.accounts import backdate_used_tokens
from tests.support.callers import ErrorResponse

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]

PASSWORD = "a long password"
WRONG = ErrorResponse("UNAUTHORIZED", "Wrong email address or password")


class CountingHasher:
    """The real argon2 hasher, which records the parameters of each hash that it verifies."""

    def __init__(self, hasher) -> None:
        self.hasher, self.parameters = hasher, []

    def verify(self, hash: str, password: str) -> bool:
        self.parameters.append(hash.rsplit("$", 2)[0])
        return self.hasher.verify(hash, password)

    def __getattr__(self, name: str):
        return getattr(self.hasher, name)


async def test_an_unknown_address_costs_the_same_as_a_wrong_password(api, server, monkeypatch) -> None:
    """One argon2 hash with the same parameters and the same message, so neither tells them apart."""
    await api.register(name="Ann", email="ann@example.com", password=PASSWORD)
    await server.account("Ollie Outside")
    counted = CountingHasher(passwords.HASHER)
    monkeypatch.setattr(passwords, "HASHER", counted)
    costs = []
    for email in ("ann@example.com", "nobody@example.com", "no address", "ANN@example.com"):
        counted.parameters.clear()
        assert await api.login(email=email, password="not the password") == WRONG
        costs.append(list(counted.parameters))
    assert len(costs[0]) == 1
    assert costs == [costs[0]] * 4


async def test_too_many_concurrent_password_checks_get_503(server, monkeypatch) -> None:
    """They would wait for seconds, and so would all later ones."""
    monkeypatch.setattr(passwords, "MAX_QUEUED", 0)
    body = {"email": "ann@example.com", "password": PASSWORD}
    response = await server.anonymous.post("/api/auth/login", json=body)
    assert (response.status_code, response.json()["code"], response.headers["Retry-After"]) == (503, "UNAVAILABLE", "1")


async def test_the_second_use_of_a_stolen_refresh_token_ends_the_session(rest, server, api) -> None:
    """For owner and thief, access tokens included. Other sessions continue."""
    owner = await rest.register(name="Ann", email="ann@example.com", password=PASSWORD)
    elsewhere = await rest.login(email="ann@example.com", password=PASSWORD)
    http = server.anonymous
    thief = (await http.post("/api/auth/refresh", json={"refreshToken": owner["refreshToken"]})).json()["data"]
    at_once = await http.post("/api/auth/refresh", json={"refreshToken": owner["refreshToken"]})
    assert (at_once.status_code, at_once.json()["code"]) == (401, "UNAUTHORIZED")
    await backdate_used_tokens(server.db)
    second = await http.post("/api/auth/refresh", json={"refreshToken": owner["refreshToken"]})
    assert (second.status_code, second.json()["code"]) == (401, "UNAUTHORIZED")
    third = await http.post("/api/auth/refresh", json={"refreshToken": thief["refreshToken"]})
    assert third.status_code == 401
    statuses = [
        (await http.get("/api/auth/me", headers={"Authorization": f"Bearer {issued['accessToken']}"})).status_code
        for issued in (owner, thief, elsewhere)
    ]
    assert statuses == [401, 401, 200]
