"""API keys: what machines may do with them over each protocol and transport, and until when."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import update

from models import ApiKey, utcnow
from resolvers import api_keys
from resolvers.tokens import hash_token
from tests.identity.machines import BOTH, READ, kept, machine
from tests.live.listening import Listening
from tests.live.subscribers import EVENTS, socket
from tests.support.callers import Refusal, rest_result
from tests.support.patience import PATIENCE
from tests.support.servers import ORIGIN
from tests.support.writing import CONTENT

pytestmark = pytest.mark.anyio

POST = {"title": "By a machine", "content": CONTENT}
INVALID = Refusal("UNAUTHORIZED", "The API key is not valid, has expired or was revoked")
READS_ONLY = Refusal("FORBIDDEN", "This API key may only read")
WHO = {"query": "{ viewer { name role email } }"}


async def test_a_key_acts_as_its_account(server, api, author):
    """In both protocols, with that account's name on what it writes."""
    made = await api.create(await machine(server.db, acting_as=author), **POST)
    assert (made["title"], made["author"]) == ("By a machine", author.author)


async def test_a_key_without_an_account_has_one_of_its_own(server, api):
    """It has no address, so that nobody can sign in to it."""
    robot = await machine(server.db)
    assert (await api.create(robot, **POST))["author"] == {"id": robot.id, "name": "A machine", "image": None}
    assert (await api.me(robot))["email"] is None


@pytest.mark.parametrize("path", ["/graphql", "/api/posts", "/api/auth/me"])
async def test_a_key_may_come_in_a_header_of_its_own(server, path):
    """`X-API-Key`, for those who cannot set `Authorization`."""
    robot = await machine(server.db, READ)
    for headers in ({"X-API-Key": robot.access_token}, robot.headers):
        answer = await server.anonymous.get(path, headers=headers, params=WHO if path == "/graphql" else None)
        assert answer.status_code == 200
        if path == "/graphql":
            assert answer.json() == {"data": {"viewer": {"name": "A machine", "role": "USER", "email": None}}}


async def test_a_key_that_reads_does_not_write(server, api, author):
    """It sees what its account sees, and is refused all else in the same words by both protocols."""
    draft = await api.create(author, **POST)
    reader = await machine(server.db, READ, acting_as=author)
    assert (await api.post(reader, draft["id"]))["title"] == "By a machine"
    assert await api.create(reader, **POST) == READS_ONLY
    assert await api.update(reader, draft["id"], title="Changed") == READS_ONLY
    assert await api.delete(reader, draft["id"]) == READS_ONLY


async def test_no_unsafe_path_is_open_to_a_key_that_reads(server, author):
    """Whatever routes there are, those that come with uploads and payments among them."""
    reader = await machine(server.db, READ, acting_as=author)
    unsafe = [
        (method, route.path.replace("{id}", author.id))
        for route in server.app.routes
        for method in getattr(route, "methods", None) or ()
        if method not in ("GET", "HEAD", "OPTIONS") and route.path.startswith("/api/") and "webhooks" not in route.path
    ]
    assert len(unsafe) >= 8
    body = {"title": "x" * 5, "content": CONTENT, "email": "a@example.com", "password": "x" * 8, "name": "x"}
    for method, path in unsafe:
        answer = await server.anonymous.request(method, path, json=body, headers=reader.headers)
        assert answer.status_code in (403, 415), (method, path, answer.text)
        assert answer.status_code == 415 or rest_result(answer) == READS_ONLY


DAMAGES = [
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


async def test_what_is_no_key_of_ours_is_refused(server):
    """Mistyped, cut short, made up, huge: 401 everywhere, even where nobody need sign in."""
    robot = await machine(server.db, READ)
    for key in [damage(robot.access_token) for damage in DAMAGES]:
        for headers in ({"Authorization": f"Bearer {key}".encode()}, {"X-API-Key": key.encode()}):
            answer = await server.anonymous.get("/api/posts", headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHORIZED"), key[:50]


async def test_a_key_that_was_revoked_or_has_expired_is_refused(server, api):
    """From the next request on."""
    revoked, expired = await machine(server.db, READ), await machine(server.db, READ, life=timedelta(days=1))
    assert (await api.me(revoked))["name"] == (await api.me(expired))["name"] == "A machine"
    await api_keys.revoke(server.db, str((await kept(server.db, revoked.access_token)).id))
    async with server.db.writing() as session:
        await session.execute(update(ApiKey).where(ApiKey.expires_at.is_not(None)).values(expires_at=utcnow()))
    assert await api.me(revoked) == await api.me(expired) == INVALID


async def test_a_key_is_kept_as_a_hash_and_revoked_by_itself(server, api):
    """Who found a leaked one knows nothing else of it."""
    robot = await machine(server.db)
    row = await kept(server.db, robot.access_token)
    assert robot.access_token not in row.model_dump_json()
    assert row.key_hash == hash_token(robot.access_token)
    await api_keys.revoke(server.db, robot.access_token)
    assert await api.me(robot) == INVALID


def test_keys_have_a_form_that_scanners_find():
    """`dvt_`, 32 characters of chance, and a checksum."""
    keys = {api_keys.new_key() for _ in range(50)}
    assert len(keys) == 50
    assert all(api_keys.is_well_formed(key) for key in keys)
    assert api_keys.is_well_formed("dvt_" + "0" * 32 + api_keys.checksum("dvt_" + "0" * 32))
    assert api_keys.checksum("dvt_" + "0" * 32) == "3MKwAA"


async def test_each_key_counts_for_itself(make_server, author):
    """Not with its account's other keys, nor with its account; and by a limit of its own."""
    server = await make_server(rate_limit_key="2/minute", rate_limit_api="1/minute")
    one, two = [await machine(server.db, BOTH, acting_as=author) for _ in range(2)]
    statuses = {}
    for name, account in {"one": one, "two": two, "author": author}.items():
        answers = [await server.anonymous.get("/api/posts", headers=account.headers) for _ in range(3)]
        statuses[name] = [answer.status_code for answer in answers]
    assert statuses == {"one": [200, 200, 429], "two": [200, 200, 429], "author": [200, 429, 429]}


async def test_when_a_key_was_last_used_is_noted_once_a_minute(make_server):
    """Beside the request, and by one statement for all of a minute."""
    server = await make_server()
    robot = await machine(server.db, READ)
    assert (await kept(server.db, robot.access_token)).last_used_at is None
    for _ in range(3):
        await server.anonymous.get("/api/posts", headers=robot.headers)
    usage = server.app.state.gateway.authenticator.usage
    async with asyncio.timeout(PATIENCE):
        while (used := (await kept(server.db, robot.access_token)).last_used_at) is None:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)
    assert abs((utcnow() - used).total_seconds()) < 60
    await server.anonymous.get("/api/posts", headers=robot.headers)
    assert not usage.unwritten


async def test_keys_work_over_sockets(live: Listening):
    """As the payload's token, and in either header of the handshake; what reads only is refused mutations there too."""
    writer, reader = await machine(live.db), await machine(live.db, READ)
    async with socket(live.address, writer) as client:
        assert await client.asked("{ viewer { name } }") == {"name": "A machine"}
    for headers in (reader.headers, {"X-API-Key": reader.access_token}):
        async with socket(live.address, additional_headers=headers) as client:
            assert await client.asked("{ viewer { name } }") == {"name": "A machine"}
            assert await client.failure('mutation { deletePost(id: "x") }') == "FORBIDDEN"


async def test_revoking_a_key_ends_its_streams(live: Listening):
    """Of events, over SSE and WebSocket, within five seconds; those of others go on."""
    leaving, staying = await machine(live.db), await machine(live.db)
    async with live.feed(leaving) as feed, live.feed(staying) as other, socket(live.address, leaving) as client:
        await client.subscribe(EVENTS)
        await live.graphql.create(leaving, **POST)
        assert await feed.type() == "post.created"
        await api_keys.revoke(live.db, leaving.access_token)
        assert (await feed.frame(6)).data == {"type": "error", "code": "UNAUTHORIZED"}
        assert (await client.closing())[0] == 4401
        await live.graphql.create(staying, **POST)
        assert await other.type() == "post.created"


async def test_a_key_comes_from_anywhere_and_a_cookie_of_one_is_nothing(server, author):
    """No browser sends it by itself; nor does it stand in for a session's token."""
    robot = await machine(server.db, acting_as=author)
    headers = {**robot.headers, "Origin": "https://evil.example"}
    assert (await server.anonymous.post("/api/posts", json=POST, headers=headers)).status_code == 201
    cookie = {"Cookie": f"dovetail_session={robot.access_token}", "Origin": ORIGIN}
    assert (await server.anonymous.post("/graphql", json=WHO, headers=cookie)).json() == {"data": {"viewer": None}}
