"""`WS /graphql`: the subprotocol `graphql-transport-ws`, to the letter but for the renewal of tokens."""

import json
import time
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from gateway.http import eager_send
from gateway.transports.websocket import connection as module
from models import Role
from resolvers.accounts import promote
from resolvers.tokens import Tokens
from tests.support.accounts import Account
from tests.support.live_server import LiveServer
from tests.support.servers import SECRET
from tests.support.subscribers import EVENTS, PROTOCOL, open_socket
from tests.support.waiting import wait_until
from tests.support.writing import CONTENT

pytestmark = pytest.mark.anyio

POST = {"title": "A post", "content": CONTENT, "status": "PUBLISHED"}
INIT = {"type": "connection_init"}
PING = {"type": "ping"}
WHO = "{ viewer { name } }"
SUBSCRIBE = {"id": "1", "type": "subscribe", "payload": {"query": "subscription { postEvents { id } }"}}


def with_cookie(account: Account, origin: str | None) -> dict[str, Any]:
    headers = {"Cookie": f"dovetail_session={account.access_token}"}
    return {"additional_headers": headers | ({"Origin": origin} if origin else {})}


@pytest.mark.parametrize(
    ("output", "code", "reason"),
    [
        (["{"], 4400, "Messages must be JSON objects"),
        (["[]"], 4400, "Messages must be JSON objects"),
        ([""], 4400, "Messages must be JSON objects"),
        ([b"{}"], 4400, "Messages must be text"),
        ([b'{"type":"connection_init"}'], 4400, "Messages must be text"),
        (["[" * 100_000], 4400, "Messages must be JSON objects"),
        ([json.dumps({**INIT, "payload": {"a": "x" * 2**20}})], 4400, "A message has at most 1048576 bytes"),
        ([json.dumps({**INIT, "payload": {"a": "é" * 600_000}}, ensure_ascii=False)], 4400, "A message has at most"),
        ([{}], 4400, "Unknown message type"),
        ([{"type": "start"}], 4400, "Unknown message type"),
        ([{"type": "next", "id": "1", "payload": {}}], 4400, "Unknown message type"),
        ([{"type": ["ping"]}], 4400, "Unknown message type"),
        ([{"type": "ping", "payload": "text"}], 4400, "payload must be an object"),
        ([{**INIT, "payload": []}], 4400, "payload must be an object"),
        ([{**INIT, "payload": {"authorization": 5}}], 4400, "authorization must be a string"),
        ([INIT, {"type": "complete"}], 4400, "complete must have an id"),
        ([INIT, {**SUBSCRIBE, "id": ""}], 4400, "subscribe must have an id"),
        ([INIT, {**SUBSCRIBE, "id": 1}], 4400, "subscribe must have an id"),
        ([INIT, {"type": "subscribe", "id": "1"}], 4400, "subscribe must have a query"),
        ([INIT, {**SUBSCRIBE, "payload": {"query": None}}], 4400, "subscribe must have a query"),
        ([INIT, {**SUBSCRIBE, "payload": {"query": "{}", "variables": []}}], 4400, "variables and extensions"),
        ([INIT, {**SUBSCRIBE, "payload": {"query": "{}", "extensions": 1}}], 4400, "variables and extensions"),
        ([INIT, {**SUBSCRIBE, "payload": {"query": "{}", "operationName": 1}}], 4400, "operationName must"),
        ([SUBSCRIBE], 4401, "Unauthorized"),
        ([{**INIT, "payload": {"authorization": "Bearer nonsense"}}], 4401, "The access token is not valid"),
        ([{**INIT, "payload": {"AUTHORIZATION": "nonsense"}}], 4401, "The access token is not valid"),
        ([{**INIT, "payload": {"authorization": "Bearer"}}], 4401, "The access token is not valid"),
        ([INIT, SUBSCRIBE, SUBSCRIBE], 4409, "Subscriber for 1 already exists"),
        ([INIT, INIT], 4429, "Too many initialisation requests"),
        ([INIT, {**INIT, "payload": {"authorization": "nonsense"}}], 4429, "Too many initialisation requests"),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_what_the_protocol_does_not_allow_closes_the_socket(
    sqlite: LiveServer, output: list[Any], code: int, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """With its code and a word, and without a trace in the log."""
    async with open_socket(sqlite.address, init=False) as client:
        for message in output:
            await client.send(message)
        closed = await client.wait_closed()
    assert (closed[0], closed[1][: len(reason)]) == (code, reason)
    assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


@pytest.fixture
async def sqlite(sqlite_url: str, make_live_server: Any) -> LiveServer:
    """For what has nothing to do with the database."""
    return await make_live_server(sqlite_url)


@pytest.mark.parametrize("protocols", [["graphql-ws"], ["something", "else"], []])
async def test_other_subprotocols_are_not_spoken(sqlite: LiveServer, protocols: list[str]) -> None:
    """The legacy one among them."""
    async with open_socket(sqlite.address, init=False, protocols=protocols) as client:
        assert client.connection.subprotocol is None
        assert await client.wait_closed() == (4406, "Subprotocol not acceptable")
    async with open_socket(sqlite.address, protocols=[*protocols, PROTOCOL]) as client:
        assert client.connection.subprotocol == PROTOCOL


async def test_a_socket_without_connection_init_is_closed(sqlite_url: str, make_live_server: Any) -> None:
    """Nor for ever is anybody's socket kept."""
    impatient = await make_live_server(sqlite_url, graphql_init_timeout="0.1s")
    lasting = await make_live_server(sqlite_url, graphql_socket_lifetime="0.5s")
    async with open_socket(impatient.address, init=False) as silent, open_socket(lasting.address) as old:
        await silent.send(PING)
        assert await silent.receive() == {"type": "pong"}
        assert await silent.wait_closed() == (4408, "Connection initialisation timeout")
        assert await old.wait_closed() == (1012, "The connection has reached its maximum age; connect again")


async def test_pings_are_answered_with_what_they_carry(sqlite: LiveServer) -> None:
    """Before the introduction too; a pong that nobody asked for is as good as one that was."""
    async with open_socket(sqlite.address, init=False) as client:
        await client.send({"type": "pong"})
        await client.send({"type": "ping", "payload": {"at": 1}})
        assert await client.receive() == {"type": "pong", "payload": {"at": 1}}


async def test_a_silent_client_is_pinged_and_then_disconnected(
    sqlite: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever comes is a sign of life."""
    monkeypatch.setattr(module, "PING_INTERVAL_SECONDS", 0.1)
    async with open_socket(sqlite.address) as client:
        for _ in range(3):
            assert await client.receive() == PING
            await client.send({"type": "pong"})
        assert await client.receive() == PING
        assert await client.wait_closed() == (4499, "No pong was received")


async def test_queries_and_mutations_are_answered_once(live: LiveServer) -> None:
    """A response, and that it was all; what is refused ends with an error. Ids can then be used again."""
    ann = await live.account("Ann")
    async with open_socket(live.address, ann) as client:
        assert await client.execute(WHO) == {"name": "Ann"}
        create = "mutation Write($input: CreatePostInput!) { createPost(input: $input) { title author { name } } }"
        assert await client.execute(create, input=POST) == {"title": "A post", "author": {"name": "Ann"}}
        for query, code in {"{ nowhere }": "VALIDATION_ERROR", "": "VALIDATION_ERROR"}.items():
            assert await client.error(await client.subscribe(query, id="same")) == code
        await client.subscribe('mutation { likePost(id: "x") { id } }', id="same")
        message = await client.receive()
        assert message["type"] == "next"
        assert message["payload"]["data"] is None
        assert message["payload"]["errors"][0]["extensions"]["code"] == "NOT_FOUND"
        assert await client.receive() == {"id": "same", "type": "complete"}


async def test_subscriptions_run_side_by_side(live: LiveServer) -> None:
    """Each by its id, until the client has heard enough of it."""
    ann = await live.account("Ann")
    async with open_socket(live.address) as client:
        posts = await client.subscribe(EVENTS)
        likes = await client.subscribe("subscription { postEvents(types: LIKED) { type } }", id='odd " id')
        await live.subscribed(2)
        id = (await live.graphql.create(ann, **POST))["id"]
        assert [(await client.next_value(posts))["type"] for _ in range(2)] == ["CREATED", "PUBLISHED"]
        await client.send({"id": posts, "type": "complete"})
        await client.send({"id": "nobody's", "type": "complete"})
        await client.ping()
        await live.graphql.like(ann, id)
        assert await client.next_value(likes) == {"type": "LIKED"}
        await client.subscribe(EVENTS, id=posts)
        await live.subscribed(2)
        await live.graphql.unlike(ann, id)
        assert (await client.next_value(posts))["type"] == "UNLIKED"
        assert await client.is_silent()


async def test_a_subscription_resumes_with_since(live: LiveServer) -> None:
    """Each event once, in order, however often the socket breaks."""
    ann, received = await live.account("Ann"), []
    for number in range(10):
        await live.graphql.create(ann, title=f"Post {number}", content=CONTENT)
    async with open_socket(live.address, ann) as client:
        id = await client.subscribe(EVENTS, since="0")
        first = await client.next_value(id)
    received.append(first)
    for _ in range(3):
        async with open_socket(live.address, ann) as client:
            id = await client.subscribe(EVENTS, since=received[-1]["id"])
            received += [await client.next_value(id) for _ in range(3)]
    assert [event["post"]["title"] for event in received] == [f"Post {number}" for number in range(10)]
    async with open_socket(live.address) as client:
        assert await client.error(await client.subscribe(EVENTS, since=str(10**9))) == "CURSOR_EXPIRED"
        assert await client.error(await client.subscribe(EVENTS, since="x")) == "VALIDATION_ERROR"


async def test_a_selection_that_would_be_refused_is_refused_at_once(sqlite: LiveServer) -> None:
    """Not at the first event."""
    async with open_socket(sqlite.address) as client:
        query = "subscription { postEvents { post { comments(first: 0) { totalCount } } } }"
        assert await client.error(await client.subscribe(query)) == "VALIDATION_ERROR"


async def test_a_token_is_in_the_payload_or_in_the_handshake(sqlite: LiveServer) -> None:
    """With its scheme or bare, whatever the case of its key; the payload's comes first. Empty is none."""
    ann, bob = await sqlite.account("Ann"), await sqlite.account("Bob")
    for payload, headers, name in (
        ({"authorization": f"Bearer {ann.access_token}"}, {}, "Ann"),
        ({"Authorization": ann.access_token}, {}, "Ann"),
        ({"AUTHORIZATION": f"bearer {ann.access_token}"}, {}, "Ann"),
        (None, bob.headers, "Bob"),
        ({"authorization": ann.access_token}, bob.headers, "Ann"),
        ({"authorization": ""}, {}, None),
        ({"authorization": None, "other": 1}, {}, None),
    ):
        async with open_socket(sqlite.address, init=False, additional_headers=headers) as client:
            await client.send({**INIT, "payload": payload})
            assert await client.receive() == {"type": "connection_ack"}
            assert await client.execute(WHO) == (name and {"name": name})


async def test_a_cookie_counts_for_our_own_pages_alone(sqlite_url: str, make_live_server: Any) -> None:
    """Browsers send it along whoever made the page; without a session cookie anybody's page may ask as nobody."""
    live = await make_live_server(sqlite_url, cors_origins=["https://front.example"])
    ann = await live.account("Ann")
    for origin in (live.address, "https://front.example"):
        async with open_socket(live.address, **with_cookie(ann, origin)) as client:
            assert await client.execute(WHO) == {"name": "Ann"}
    for origin in ("https://elsewhere.example", "null", None):
        async with open_socket(live.address, init=False, **with_cookie(ann, origin)) as client:
            await client.send(INIT)
            assert (await client.wait_closed())[0] == 4403
    async with open_socket(live.address, additional_headers={"Origin": "https://elsewhere.example"}) as client:
        assert await client.execute(WHO) is None


async def test_a_stale_cookie_is_anonymous(sqlite: LiveServer) -> None:
    """As over HTTP, unlike a token that somebody sends on purpose."""
    headers = {"Cookie": "dovetail_session=stale", "Origin": sqlite.address}
    async with open_socket(sqlite.address, additional_headers=headers) as client:
        assert await client.execute(WHO) is None


@pytest.mark.parametrize("how", ["expiry", "logout"])
async def test_rights_that_end_end_the_socket(live: LiveServer, how: str) -> None:
    """With 4401, within seconds, and nothing is left behind."""
    ann = await live.account("Ann")
    async with open_socket(live.address, ann) as client, open_socket(live.address) as anybody:
        await client.subscribe(EVENTS)
        await live.subscribed()
        if how == "expiry":
            live.gateway.session_monitor.expire(time.time() + 3600)
        else:
            await live.http.post("/api/auth/logout", json={"refreshToken": ann.refresh_token})
        assert (await client.wait_closed())[0] == 4401
        assert live.gateway.session_monitor.sessions == {}
        await anybody.ping()
    await wait_until(lambda: live.gateway.streams.count == 0)


async def test_a_token_is_renewed_in_place(live: LiveServer) -> None:
    """By a second introduction of the same viewer; what was followed goes on."""
    ann, bob = await live.account("Ann"), await live.account("Bob")
    refreshed = (await live.http.post("/api/auth/refresh", json={"refreshToken": ann.refresh_token})).json()["data"]
    async with open_socket(live.address, ann) as client:
        id = await client.subscribe(EVENTS)
        await live.subscribed()
        await client.send({**INIT, "payload": {"authorization": refreshed["accessToken"]}})
        assert await client.receive() == {"type": "connection_ack"}
        live.gateway.session_monitor.expire(time.time() + 800)
        await live.graphql.create(ann, title="A draft", content=CONTENT)
        assert (await client.next_value(id))["type"] == "CREATED"
        await client.send({**INIT, "payload": {"authorization": bob.access_token}})
        assert await client.wait_closed() == (4429, "Too many initialisation requests")


async def test_the_old_token_no_longer_matters_once_it_was_renewed(sqlite: LiveServer) -> None:
    """Neither its session nor its end."""
    ann = await sqlite.account("Ann")
    old = sqlite.gateway.tokens.verify(ann.access_token)
    short = Tokens(SECRET, access_lifetime=timedelta(seconds=60)).create_access_token(old.viewer, old.session_id)
    async with open_socket(sqlite.address, init=False) as client:
        await client.send({**INIT, "payload": {"authorization": short}})
        assert await client.receive() == {"type": "connection_ack"}
        await client.send({**INIT, "payload": {"authorization": ann.access_token}})
        assert await client.receive() == {"type": "connection_ack"}
        sqlite.gateway.session_monitor.expire(time.time() + 120)
        assert await client.execute(WHO) == {"name": "Ann"}
        sqlite.gateway.session_monitor.expire(time.time() + 3600)
        assert (await client.wait_closed())[0] == 4401


async def test_a_changed_role_takes_effect(live: LiveServer) -> None:
    """By what is followed, and by what is asked anew."""
    ann, admin = await live.account("Ann"), await live.account("Ada", Role.ADMIN)
    async with open_socket(live.address, admin) as client:
        id = await client.subscribe(EVENTS)
        await live.subscribed()
        await live.graphql.create(ann, title="A draft", content=CONTENT)
        assert (await client.next_value(id))["type"] == "CREATED"
        await promote(live.db, admin.email, Role.USER)
        await live.gateway.session_monitor.refresh()
        await live.graphql.create(ann, title="Another draft", content=CONTENT)
        assert await client.is_silent()
        assert (await client.execute("{ viewer { role } }")) == {"role": "USER"}


async def test_a_socket_has_so_many_operations(sqlite_url: str, make_live_server: Any) -> None:
    """One more is refused, and the others go on."""
    live = await make_live_server(sqlite_url, graphql_max_subscriptions=3)
    async with open_socket(live.address) as client:
        for _ in range(3):
            await client.subscribe(EVENTS)
        assert await client.error(await client.subscribe(EVENTS, id="more")) == "RATE_LIMITED"
        await client.send({"id": "1", "type": "complete"})
        await client.subscribe(EVENTS, id="more")
        await client.ping()


async def test_a_caller_has_so_many_sockets(sqlite_url: str, make_live_server: Any) -> None:
    """Counted with streams of other kinds; one more is to try again later."""
    live = await make_live_server(sqlite_url, max_streams_per_viewer=1)
    ann = await live.account("Ann")
    async with open_socket(live.address, ann), open_socket(live.address), open_socket(live.address, init=False) as more:
        await more.send({**INIT, "payload": {"authorization": ann.access_token}})
        assert (await more.wait_closed())[0] == 1013


async def test_handshakes_and_operations_are_limited(sqlite_url: str, make_live_server: Any) -> None:
    """Handshakes by their address, operations by their viewer, and signing in as over HTTP."""
    live = await make_live_server(sqlite_url, rate_limit_api="3/minute", rate_limit_auth="1/minute")
    ann, bob = await live.account("Ann"), await live.account("Bob")
    login = 'mutation { login(input: {email: "a@b.test", password: "wrong password"}) { expiresIn } }'
    async with open_socket(live.address, ann) as client, open_socket(live.address, bob) as other:
        assert await client.execute(WHO) == {"name": "Ann"}
        assert (await client.execute_with_error(login)) == "UNAUTHORIZED"
        assert await client.error(await client.subscribe(login)) == "RATE_LIMITED"
        assert await client.error(await client.subscribe(WHO)) == "RATE_LIMITED"
        assert await other.execute(WHO) == {"name": "Bob"}
        async with open_socket(live.address):
            with pytest.raises(InvalidStatus) as rejected:
                async with open_socket(live.address):
                    pass
    response = rejected.value.response
    assert (response.status_code, response.headers["X-RateLimit-Limit"]) == (429, "3")
    assert json.loads(response.body)["errors"][0]["extensions"]["code"] == "RATE_LIMITED"


async def test_operations_over_a_socket_draw_on_their_viewers_one_budget(
    sqlite_url: str, make_live_server: Any
) -> None:
    """The same that HTTP and chat draw on; a subscription costs what one of its events may."""
    live = await make_live_server(sqlite_url, rate_limit_cost="60/minute")
    ann, bob = await live.account("Ann"), await live.account("Bob")
    page = "{ posts(first: 28) { nodes { id } } }"
    async with open_socket(live.address, ann) as client, open_socket(live.address, bob) as other:
        assert await client.execute(page) == {"nodes": []}
        over_http = await live.http.post("/graphql", json={"query": "{ viewer { id } }"}, headers=ann.headers)
        assert '"cost";r=28' in over_http.headers["ratelimit"]
        assert await client.error(await client.subscribe(page)) == "RATE_LIMITED"
        chat = await live.http.post(
            "/api/chat", json={"messages": [{"role": "user", "content": "?"}]}, headers=ann.headers
        )
        assert chat.status_code == 429
        assert await client.execute(WHO) == {"name": "Ann"}
        assert await other.execute(page) == {"nodes": []}


async def test_a_server_that_goes_sends_its_sockets_away(live: LiveServer) -> None:
    """After what was under way has been answered; it takes no more."""
    ann = await live.account("Ann")
    async with open_socket(live.address, ann) as client, open_socket(live.address, init=False) as stranger:
        await client.subscribe(EVENTS)
        await live.subscribed()
        register = 'mutation { register(input: {name: "A", email: "a@b.test", password: "a password"}) { expiresIn } }'
        id = await client.subscribe(register)
        await client.send(PING)
        assert await client.receive() == {"type": "pong"}
        live.gateway.streams.drain()
        assert (await client.next_value(id))["expiresIn"] == 900
        assert await client.wait_closed() == (1012, "The server is shutting down; connect again")
        assert (await stranger.wait_closed())[0] == 1012
        with pytest.raises(InvalidStatus) as rejected:
            async with open_socket(live.address):
                pass
    assert (rejected.value.response.status_code, rejected.value.response.headers["Retry-After"]) == (503, "1")


async def test_what_was_completed_is_not_answered(sqlite: LiveServer) -> None:
    """Even where it was too late to stop it: what is writing is left to finish."""
    ann = await sqlite.account("Ann")
    create = "mutation($input: CreatePostInput!) { createPost(input: $input) { id } }"
    async with open_socket(sqlite.address, ann) as client:
        async with sqlite.db.writing():
            id = await client.subscribe(create, input=POST)
            await wait_until(sqlite.gateway.db.write_lock.locked)
            await client.send({"id": id, "type": "complete"})
            await client.ping()
        assert await client.is_silent()
    assert (await sqlite.graphql.page(ann))["pagination"]["total"] == 1


async def test_a_slow_reader_is_disconnected_without_delaying_others(
    sqlite: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it was sent stays in its socket's buffers, which are bounded."""
    monkeypatch.setattr(eager_send, "SEND_TIMEOUT_SECONDS", 0.2)
    monkeypatch.setattr(module, "CLOSE_TIMEOUT_SECONDS", 0.2)
    author = await sqlite.account("Ann")
    query = "subscription { postEvents { type post { a: content b: content c: content d: content e: content } } }"
    async with open_socket(sqlite.address) as slow, open_socket(sqlite.address, max_size=None) as reader:
        slow.connection.transport.pause_reading()
        await slow.subscribe(query)
        id = await reader.subscribe(query)
        await sqlite.subscribed(2)
        while sqlite.gateway.streams.count == 2:
            await sqlite.graphql.create(author, title="Long", content="x" * 100_000, status="PUBLISHED")
            assert [(await reader.next_value(id))["type"] for _ in range(2)] == ["CREATED", "PUBLISHED"]
        slow.connection.transport.abort()


async def test_many_idle_subscriptions_hold_no_connection_to_the_database(live: LiveServer) -> None:
    """Fifty on each of ten sockets, and each hears what comes."""
    ann = await live.account("Ann")
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(open_socket(live.address)) for _ in range(10)]
        for client in clients:
            for _ in range(50):
                await client.subscribe(EVENTS)
        await live.subscribed(500)
        if not live.gateway.db.is_sqlite:
            assert live.gateway.db.connections_in_use == 0
            assert live.gateway.engine.reads.batcher.free == live.gateway.engine.reads.size
        await live.graphql.create(ann, **POST)
        for client in clients:
            received = [await client.receive() for _ in range(100)]
            assert sorted(message["id"] for message in received) == sorted([*map(str, range(1, 51))] * 2)
