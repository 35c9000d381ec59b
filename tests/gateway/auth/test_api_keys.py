"""API keys: what they allow in each protocol and transport, and when they stop working."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import update

from models import ApiKey, utcnow
from resolvers import api_keys
from resolvers.tokens import hash_token
from tests.support.api_keys import READ_ONLY, READ_WRITE, create_machine, get_key_row
from tests.support.callers import ErrorResponse, rest_result
from tests.support.live_server import LiveServer
from tests.support.servers import ORIGIN
from tests.support.subscribers import EVENTS, open_socket
from tests.support.waiting import TEST_TIMEOUT_SECONDS
from tests.support.writing import CONTENT

pytestmark = pytest.mark.anyio

POST = {"title": "By a machine", "content": CONTENT}
INVALID = ErrorResponse("UNAUTHORIZED", "The API key is not valid, has expired or was revoked")
FORBIDDEN = ErrorResponse("FORBIDDEN", "This API key may only read")
VIEWER = {"query": "{ viewer { name role email } }"}


async def test_a_key_acts_as_its_account(server, api, author):
    """In both protocols; what it writes is by that account."""
    post = await api.create(await create_machine(server.db, acting_as=author), **POST)
    assert (post["title"], post["author"]) == ("By a machine", author.author)


async def test_a_key_for_no_account_gets_an_account_of_its_own(server, api):
    """Without an e-mail address, so that account cannot log in."""
    machine = await create_machine(server.db)
    assert (await api.create(machine, **POST))["author"] == {"id": machine.id, "name": "A machine", "image": None}
    assert (await api.me(machine))["email"] is None


@pytest.mark.parametrize("path", ["/graphql", "/api/posts", "/api/auth/me"])
async def test_a_key_may_be_sent_as_x_api_key(server, path):
    """For clients that cannot set `Authorization`."""
    machine = await create_machine(server.db, READ_ONLY)
    for headers in ({"X-API-Key": machine.access_token}, machine.headers):
        response = await server.anonymous.get(path, headers=headers, params=VIEWER if path == "/graphql" else None)
        assert response.status_code == 200
        if path == "/graphql":
            assert response.json() == {"data": {"viewer": {"name": "A machine", "role": "USER", "email": None}}}


async def test_a_read_only_key_reads_and_does_not_write(server, api, author):
    """It sees what its account sees. Writes are rejected with the same message in both protocols."""
    draft = await api.create(author, **POST)
    reader = await create_machine(server.db, READ_ONLY, acting_as=author)
    assert (await api.post(reader, draft["id"]))["title"] == "By a machine"
    assert await api.create(reader, **POST) == FORBIDDEN
    assert await api.update(reader, draft["id"], title="Changed") == FORBIDDEN
    assert await api.delete(reader, draft["id"]) == FORBIDDEN


async def test_every_unsafe_route_rejects_a_read_only_key(server, author):
    """Uploads and payments included."""
    reader = await create_machine(server.db, READ_ONLY, acting_as=author)
    unsafe = [
        (method, route.path.replace("{id}", author.id))
        for route in server.app.routes
        for method in getattr(route, "methods", None) or ()
        if method not in ("GET", "HEAD", "OPTIONS") and route.path.startswith("/api/") and "webhooks" not in route.path
    ]
    assert len(unsafe) >= 8
    body = {"title": "x" * 5, "content": CONTENT, "email": "a@example.com", "password": "x" * 8, "name": "x"}
    for method, path in unsafe:
        response = await server.anonymous.request(method, path, json=body, headers=reader.headers)
        assert response.status_code in (403, 415), (method, path, response.text)
        assert response.status_code == 415 or rest_result(response) == FORBIDDEN


MUTATIONS = [
    lambda key: key[:-1] + ("0" if key[-1] != "0" else "1"),
    lambda key: key[:-1],
    lambda key: f"{key}0",
    lambda key: f"dvt_{'0' * 38}",
    lambda key: api_keys.new_key(),
    lambda key: key.swapcase(),
    lambda key: "",
    lambda key: "dvt_" + "é" * 38,
    lambda key: "dvt_" + "0" * 100_000,
]


async def test_invalid_keys_are_rejected(server):
    """401 for each, also where a viewer is optional."""
    machine = await create_machine(server.db, READ_ONLY)
    for key in [mutate(machine.access_token) for mutate in MUTATIONS]:
        for headers in ({"Authorization": f"Bearer {key}".encode()}, {"X-API-Key": key.encode()}):
            response = await server.anonymous.get("/api/posts", headers=headers)
            assert (response.status_code, response.json()["code"]) == (401, "UNAUTHORIZED"), key[:50]


async def test_revoked_and_expired_keys_are_rejected(server, api):
    """From the next request on."""
    revoked = await create_machine(server.db, READ_ONLY)
    expired = await create_machine(server.db, READ_ONLY, lifetime=timedelta(days=1))
    assert (await api.me(revoked))["name"] == (await api.me(expired))["name"] == "A machine"
    await api_keys.revoke(server.db, str((await get_key_row(server.db, revoked.access_token)).id))
    async with server.db.writing() as session:
        await session.execute(update(ApiKey).where(ApiKey.expires_at.is_not(None)).values(expires_at=utcnow()))
    assert await api.me(revoked) == await api.me(expired) == INVALID


async def test_a_key_is_stored_as_a_hash_and_can_be_revoked_by_its_text(server, api):
    """Whoever finds a leaked key has nothing else to name it by."""
    machine = await create_machine(server.db)
    row = await get_key_row(server.db, machine.access_token)
    assert machine.access_token not in row.model_dump_json()
    assert row.key_hash == hash_token(machine.access_token)
    await api_keys.revoke(server.db, machine.access_token)
    assert await api.me(machine) == INVALID


def test_secret_scanners_can_recognise_keys():
    """`dvt_`, 32 random characters and a checksum."""
    keys = {api_keys.new_key() for _ in range(50)}
    assert len(keys) == 50
    assert all(api_keys.is_well_formed(key) for key in keys)
    assert api_keys.is_well_formed("dvt_" + "0" * 32 + api_keys.checksum("dvt_" + "0" * 32))
    assert api_keys.checksum("dvt_" + "0" * 32) == "3MKwAA"


async def test_each_key_has_a_rate_limit_of_its_own(make_server, author):
    """Apart from its account's and from the other keys of the account."""
    server = await make_server(rate_limit_key="2/minute", rate_limit_api="1/minute")
    one, two = [await create_machine(server.db, READ_WRITE, acting_as=author) for _ in range(2)]
    statuses = {}
    for name, account in {"one": one, "two": two, "author": author}.items():
        responses = [await server.anonymous.get("/api/posts", headers=account.headers) for _ in range(3)]
        statuses[name] = [response.status_code for response in responses]
    assert statuses == {"one": [200, 200, 429], "two": [200, 200, 429], "author": [200, 429, 429]}


async def test_the_last_use_of_a_key_is_written_once_a_minute(make_server):
    """Outside the request."""
    server = await make_server()
    machine = await create_machine(server.db, READ_ONLY)
    assert (await get_key_row(server.db, machine.access_token)).last_used_at is None
    for _ in range(3):
        await server.anonymous.get("/api/posts", headers=machine.headers)
    usage = server.app.state.gateway.authenticator.usage
    async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
        while (used_at := (await get_key_row(server.db, machine.access_token)).last_used_at) is None:  # noqa: ASYNC110 - a row has no event
            await asyncio.sleep(0.01)
    assert abs((utcnow() - used_at).total_seconds()) < 60
    await server.anonymous.get("/api/posts", headers=machine.headers)
    assert not usage.unwritten


async def test_keys_authenticate_web_sockets(live: LiveServer):
    """In the payload or in either header of the handshake. A read-only key cannot run mutations there either."""
    writer, reader = await create_machine(live.db), await create_machine(live.db, READ_ONLY)
    async with open_socket(live.address, writer) as client:
        assert await client.execute("{ viewer { name } }") == {"name": "A machine"}
    for headers in (reader.headers, {"X-API-Key": reader.access_token}):
        async with open_socket(live.address, additional_headers=headers) as client:
            assert await client.execute("{ viewer { name } }") == {"name": "A machine"}
            assert await client.execute_with_error('mutation { deletePost(id: "x") }') == "FORBIDDEN"


async def test_revoking_a_key_ends_its_streams(live: LiveServer):
    """SSE and WebSocket, within five seconds. The streams of other keys continue."""
    leaving, staying = await create_machine(live.db), await create_machine(live.db)
    async with live.feed(leaving) as feed, live.feed(staying) as other, open_socket(live.address, leaving) as client:
        await client.subscribe(EVENTS)
        await live.graphql.create(leaving, **POST)
        assert await feed.type() == "post.created"
        await api_keys.revoke(live.db, leaving.access_token)
        assert (await feed.frame(6)).data == {"type": "error", "code": "UNAUTHORIZED"}
        assert (await client.wait_closed())[0] == 4401
        await live.graphql.create(staying, **POST)
        assert await other.type() == "post.created"


async def test_a_key_needs_no_origin_and_is_no_cookie(server, author):
    """Browsers do not send a key on their own. In place of a session cookie it is ignored."""
    machine = await create_machine(server.db, acting_as=author)
    headers = {**machine.headers, "Origin": "https://evil.example"}
    assert (await server.anonymous.post("/api/posts", json=POST, headers=headers)).status_code == 201
    cookie = {"Cookie": f"dovetail_session={machine.access_token}", "Origin": ORIGIN}
    response = await server.anonymous.post("/graphql", json=VIEWER, headers=cookie)
    assert response.json() == {"data": {"viewer": None}}
