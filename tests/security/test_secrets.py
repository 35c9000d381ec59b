"""Secrets in logs and errors: neither contains passwords, tokens, cookies, keys or user content."""

import json
from pathlib import Path

import httpx
import pytest

from gateway.server.run import startup_lines
from gateway.settings import Settings
from models import Database
from tests.support.api_keys import create_machine
from tests.support.processes import ServerProcess
from tests.support.servers import SECRET
from tests.support.subscribers import open_socket

pytestmark = pytest.mark.anyio

PASSWORD, WRONG = "correct horse battery staple", "another animal altogether"
USER_CONTENT = "User content that must not be logged"
REGISTER = "mutation($i: RegisterInput!) { register(input: $i) { accessToken refreshToken } }"
CREATE = "mutation($i: CreatePostInput!) { createPost(input: $i) { id nope } }"


@pytest.mark.parametrize("environment", ["development", "production"])
async def test_no_log_contains_a_secret(unused_database, tmp_path: Path, environment: str) -> None:
    """In both log formats, while requests with all kinds of secrets succeed and fail."""
    url = await unused_database("sqlite")
    db = Database(url)
    key = (await create_machine(db)).access_token
    await db.close()
    async with ServerProcess(tmp_path, url, ENVIRONMENT=environment) as server:
        async with httpx.AsyncClient(base_url=server.address) as http:
            secrets = [PASSWORD, WRONG, USER_CONTENT, SECRET, key, *await send_secrets(http, server.address, key)]
        log = server.log.read_text()
    assert [secret for secret in secrets if secret in log] == []
    assert log.count("/graphql") >= 5
    assert "Traceback" not in log
    if environment == "production":
        settings = Settings(environment=environment, auth_secret=SECRET)
        greeting = startup_lines(server.address.removeprefix("http://"), settings, None)
        lines = [line for line in log.splitlines() if line not in greeting]
        assert all(isinstance(json.loads(line), dict) for line in lines)


INVALID_INPUTS = [
    ("mutation($i: LoginInput!) { login(input: $i) { expiresIn } }", {"i": {"password": PASSWORD}}),
    ("mutation($i: LoginInput!) { login(input: $i) { expiresIn } }", {"i": {"emial": "x", "password": PASSWORD}}),
    (f'mutation {{ login(input: {{password: "{PASSWORD}"}}) {{ expiresIn }} }}', {}),
    (f'mutation {{ login(input: {{emial: "x", password: "{PASSWORD}"}}) {{ expiresIn }} }}', {}),
]


@pytest.mark.parametrize(("query", "variables"), INVALID_INPUTS, ids=range(len(INVALID_INPUTS)))
async def test_input_errors_do_not_repeat_the_input(server, query, variables) -> None:
    """Front ends show such messages to users and send them to error trackers."""
    response = await server.anonymous.post("/graphql", json={"query": query, "variables": variables})
    (error, *_) = response.json()["errors"]
    assert "'LoginInput'" in error["message"]
    assert error["message"][-1] in ".?"
    assert PASSWORD not in response.text


async def send_secrets(http: httpx.AsyncClient, address: str, key: str) -> list[str]:
    """Send requests with secrets in every place, many of which fail. Return the tokens that were issued."""
    ann = {"name": "Ann", "email": "ann@example.com", "password": PASSWORD}
    issued = (await http.post("/graphql", json={"query": REGISTER, "variables": {"i": ann}})).json()["data"]["register"]
    issued |= (await http.post("/api/auth/login", json=ann)).json()
    login = {"email": ann["email"], "password": WRONG}
    for body in (login, {**login, "email": 5}, {"email": PASSWORD, "password": WRONG}):
        await http.post("/api/auth/login", json=body)
    access, refresh = issued["accessToken"], issued["refreshToken"]
    await http.get(f"/api/posts?token={access}&q={USER_CONTENT}", headers={"Authorization": f"Bearer {access}x"})
    await http.get("/api/posts", headers={"Cookie": f"dovetail_session={access}; dovetail_refresh={refresh}"})
    await http.get("/api/auth/me", headers={"X-API-Key": key})
    headers = {"Authorization": f"Bearer {access}"}
    post = {"title": "A post", "content": USER_CONTENT}
    for query in (CREATE, CREATE.replace(" nope", ""), "{ nope(" + USER_CONTENT):
        await http.post("/graphql", json={"query": query, "variables": {"i": post}}, headers=headers)
    await http.post("/api/posts", content=json.dumps(post)[:-1], headers=headers | {"Content-Type": "application/json"})
    async with open_socket(address, init=False) as client:
        await client.send({"type": "connection_init", "payload": {"authorization": f"Bearer {access}"}})
        await client.receive()
        await client.subscribe("{ viewer { email " + USER_CONTENT)
        await client.receive()
    await http.post("/api/auth/refresh", json={"refreshToken": refresh})
    again = await http.post("/api/auth/refresh", json={"refreshToken": refresh})
    assert again.status_code == 401
    return [access, refresh]
