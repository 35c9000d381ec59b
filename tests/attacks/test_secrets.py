"""What a log must not hold, whatever is done: passwords, tokens, cookies, keys, and what people wrote."""

import json
from pathlib import Path

import httpx
import pytest

from gateway.server.run import places
from gateway.settings import Settings
from models import Database
from tests.live.subscribers import socket
from tests.support.api_keys import create_machine
from tests.support.processes import ServerProcess
from tests.support.servers import SECRET

pytestmark = pytest.mark.anyio

PASSWORD, WRONG = "correct horse battery staple", "another animal altogether"
WRITTEN = "What Ann wrote is no business of whoever reads a log"
REGISTER = "mutation($i: RegisterInput!) { register(input: $i) { accessToken refreshToken } }"
CREATE = "mutation($i: CreatePostInput!) { createPost(input: $i) { id nope } }"


@pytest.mark.parametrize("environment", ["development", "production"])
async def test_no_log_holds_a_secret(unused_database, tmp_path: Path, environment: str) -> None:
    """Everything that a server says, in either form, while all that is secret passes by and much of it fails."""
    url = await unused_database("sqlite")
    db = Database(url)
    key = (await create_machine(db)).access_token
    await db.close()
    async with ServerProcess(tmp_path, url, ENVIRONMENT=environment) as server:
        async with httpx.AsyncClient(base_url=server.address) as http:
            secrets = [PASSWORD, WRONG, WRITTEN, SECRET, key, *await passed_by(http, server.address, key)]
        log = server.log.read_text()
    assert [secret for secret in secrets if secret in log] == []
    assert log.count("/graphql") >= 5
    assert "Traceback" not in log
    if environment == "production":
        settings = Settings(environment=environment, auth_secret=SECRET)
        greeting = places(server.address.removeprefix("http://"), settings, None)
        lines = [line for line in log.splitlines() if line not in greeting]
        assert all(isinstance(json.loads(line), dict) for line in lines)


WRONG_INPUTS = [
    ("mutation($i: LoginInput!) { login(input: $i) { expiresIn } }", {"i": {"password": PASSWORD}}),
    ("mutation($i: LoginInput!) { login(input: $i) { expiresIn } }", {"i": {"emial": "x", "password": PASSWORD}}),
    (f'mutation {{ login(input: {{password: "{PASSWORD}"}}) {{ expiresIn }} }}', {}),
    (f'mutation {{ login(input: {{emial: "x", password: "{PASSWORD}"}}) {{ expiresIn }} }}', {}),
]


@pytest.mark.parametrize(("query", "variables"), WRONG_INPUTS, ids=range(len(WRONG_INPUTS)))
async def test_what_is_wrong_with_an_input_is_told_without_the_input(server, query, variables) -> None:
    """Pages show such words to people, and send them to whoever collects their errors."""
    answer = await server.anonymous.post("/graphql", json={"query": query, "variables": variables})
    (error, *_) = answer.json()["errors"]
    assert "'LoginInput'" in error["message"]
    assert error["message"][-1] in ".?"
    assert PASSWORD not in answer.text


async def passed_by(http: httpx.AsyncClient, address: str, key: str) -> list[str]:
    """Sign in, fail to, write, be refused, in each way that there is; the tokens that came of it."""
    ann = {"name": "Ann", "email": "ann@example.com", "password": PASSWORD}
    told = (await http.post("/graphql", json={"query": REGISTER, "variables": {"i": ann}})).json()["data"]["register"]
    told |= (await http.post("/api/auth/login", json=ann)).json()
    login = {"email": ann["email"], "password": WRONG}
    for body in (login, {**login, "email": 5}, {"email": PASSWORD, "password": WRONG}):
        await http.post("/api/auth/login", json=body)
    access, refresh = told["accessToken"], told["refreshToken"]
    await http.get(f"/api/posts?token={access}&q={WRITTEN}", headers={"Authorization": f"Bearer {access}x"})
    await http.get("/api/posts", headers={"Cookie": f"dovetail_session={access}; dovetail_refresh={refresh}"})
    await http.get("/api/auth/me", headers={"X-API-Key": key})
    headers = {"Authorization": f"Bearer {access}"}
    post = {"title": "A post", "content": WRITTEN}
    for query in (CREATE, CREATE.replace(" nope", ""), "{ nope(" + WRITTEN):
        await http.post("/graphql", json={"query": query, "variables": {"i": post}}, headers=headers)
    await http.post("/api/posts", content=json.dumps(post)[:-1], headers=headers | {"Content-Type": "application/json"})
    async with socket(address, init=False) as client:
        await client.say({"type": "connection_init", "payload": {"authorization": f"Bearer {access}"}})
        await client.heard()
        await client.subscribe("{ viewer { email " + WRITTEN)
        await client.heard()
    await http.post("/api/auth/refresh", json={"refreshToken": refresh})
    again = await http.post("/api/auth/refresh", json={"refreshToken": refresh})
    assert again.status_code == 401
    return [access, refresh]
