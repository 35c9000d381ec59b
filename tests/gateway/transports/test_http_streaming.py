"""The forms of a subscription over HTTP: what is negotiated, and what is written when."""

import asyncio
import json
import re
from typing import Any

import pytest

from gateway.http import eager_send
from gateway.transports.http.stream_formats import MultipartFormat, SSEFormat
from tests.support.live_server import LiveServer
from tests.support.subscribers import EVENTS, open_sse_stream
from tests.support.waiting import TEST_TIMEOUT_SECONDS, wait_until
from tests.support.writing import CONTENT

pytestmark = pytest.mark.anyio

EVENT_STREAM, MULTIPART = "text/event-stream", "multipart/mixed;boundary=graphql;subscriptionSpec=1.0"
JSON, RESPONSE = "application/json", "application/graphql-response+json"
POST = {"title": "A post", "content": CONTENT, "status": "PUBLISHED"}
ALL = {"query": EVENTS, "variables": {"since": "0"}}


@pytest.fixture
async def live(sqlite_url: str, make_live_server: Any) -> LiveServer:
    """The forms have nothing to do with the database."""
    return await make_live_server(sqlite_url)


async def written(live: LiveServer, until: bytes, *, method: str = "POST", **request: Any) -> tuple[Any, bytes]:
    """A response's headers, and its body up to some bytes, after which the client leaves."""
    async with live.http.stream(method, "/graphql", **request) as response:
        body = b""
        async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
            async for chunk in response.aiter_raw():
                body += chunk
                if until in body:
                    break
        return response.headers, body


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (EVENT_STREAM, SSEFormat.media_type),
        (f"{JSON}, {EVENT_STREAM};q=0.1", SSEFormat.media_type),
        (f"{MULTIPART},{JSON}", MultipartFormat.media_type),
        ('multipart/mixed; subscriptionSpec="1.0", application/json', MultipartFormat.media_type),
        (f"{EVENT_STREAM};q=0.5, {MULTIPART}", MultipartFormat.media_type),
        (f"{EVENT_STREAM}, {MULTIPART};q=0.5", SSEFormat.media_type),
    ],
)
async def test_the_form_is_the_clients_choice(live: LiveServer, accept: str, content_type: str) -> None:
    """By `Accept`, whatever else a client would take for single answers."""
    async with live.http.stream("POST", "/graphql", json=ALL, headers={"Accept": accept}) as response:
        assert (response.status_code, response.headers["Content-Type"]) == (200, content_type)
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["X-Accel-Buffering"] == "no"
        assert response.headers["X-Request-ID"]


@pytest.mark.parametrize("accept", ["*/*", JSON, RESPONSE, "multipart/mixed, application/json", f"{EVENT_STREAM};q=0"])
async def test_without_a_stream_there_is_no_subscription(live: LiveServer, accept: str) -> None:
    """It says what would do."""
    response = await live.http.post("/graphql", json=ALL, headers={"Accept": accept})
    assert response.status_code == 406
    (error,) = response.json()["errors"]
    assert error["extensions"]["code"] == "NOT_ACCEPTABLE"


@pytest.mark.parametrize("accept", [f"{JSON}, {EVENT_STREAM}", f"{EVENT_STREAM}, */*;q=0.1", f"{MULTIPART},{JSON}"])
async def test_a_plain_query_is_answered_with_json(live: LiveServer, accept: str) -> None:
    """Even where a stream would be accepted."""
    response = await live.http.post("/graphql", json={"query": "{ __typename }"}, headers={"Accept": accept})
    assert (response.headers["Content-Type"], response.json()) == (JSON, {"data": {"__typename": "Query"}})


async def test_a_query_is_a_stream_of_one_where_only_a_stream_is_accepted(live: LiveServer) -> None:
    """MultipartFormat has no form for it."""
    response = await live.http.post("/graphql", json={"query": "{ __typename }"}, headers={"Accept": EVENT_STREAM})
    assert response.headers["Content-Type"] == SSEFormat.media_type
    assert response.text == 'event: next\ndata: {"data":{"__typename":"Query"}}\n\nevent: complete\ndata:\n\n'
    multipart = await live.http.post("/graphql", json={"query": "{ __typename }"}, headers={"Accept": MULTIPART})
    assert multipart.status_code == 406


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{ nowhere }", "VALIDATION_ERROR"),
        ("subscription { nowhere }", "VALIDATION_ERROR"),
        ("subscription { postEvents(since: 987654321) { id } }", "CURSOR_EXPIRED"),
    ],
)
async def test_refusals_are_events_where_only_events_are_accepted(live: LiveServer, query: str, code: str) -> None:
    """As graphql-sse has it, whose clients would try again for ever otherwise; where JSON will do, it is plain."""
    response = await live.http.post("/graphql", json={"query": query}, headers={"Accept": EVENT_STREAM})
    assert (response.status_code, response.headers["Content-Type"]) == (200, SSEFormat.media_type)
    output, completed, _ = response.text.split("\n\n")
    result = json.loads(output.removeprefix("event: next\ndata: "))
    assert list(result) == ["errors"]
    assert {error["extensions"]["code"] for error in result["errors"]} == {code}
    assert completed == "event: complete\ndata:"
    either = await live.http.post("/graphql", json={"query": query}, headers={"Accept": f"{EVENT_STREAM}, {JSON}"})
    assert (either.status_code, either.headers["Content-Type"]) == (result["errors"][0]["extensions"]["status"], JSON)


async def test_a_mutation_by_get_is_refused_plainly(live: LiveServer) -> None:
    """That is a matter of HTTP."""
    params, headers = {"query": 'mutation { deletePost(id: "x") }'}, {"Accept": EVENT_STREAM}
    response = await live.http.get("/graphql", params=params, headers=headers)
    assert (response.status_code, response.headers["Allow"]) == (405, "POST")
    assert response.headers["Content-Type"] == JSON


async def test_events_are_written_as_graphql_sse_has_them(live: LiveServer) -> None:
    """First a cursor, then `next` with the response on one line, each with the cursor that stands after it."""
    await live.graphql.create(await live.account(), **POST)
    _, body = await written(live, b"PUBLISHED", json=ALL, headers={"Accept": EVENT_STREAM})
    opening, *events, rest = body.decode().split("\n\n")
    assert (opening, rest) == ("id: 0\n:", "")
    parsed = [re.fullmatch(r"id: (\d+)\nevent: next\ndata: (.*)", event).groups() for event in events]
    result = [json.loads(data)["data"]["postEvents"] for _, data in parsed]
    assert [(event["type"], event["id"]) for event in result] == [
        ("CREATED", parsed[0][0]),
        ("PUBLISHED", parsed[1][0]),
    ]


async def test_get_may_subscribe_as_an_event_source_does(live: LiveServer) -> None:
    """With the document in the address, and `Last-Event-ID` when it comes back."""
    await live.graphql.create(await live.account(), **POST)
    params, headers = {"query": EVENTS, "variables": '{"since": "0"}'}, {"Accept": EVENT_STREAM}
    _, body = await written(live, b"PUBLISHED", method="GET", params=params, headers=headers)
    cursor = re.search(rb"id: (\d+)\nevent: next", body)[1].decode()
    headers["Last-Event-ID"] = cursor
    _, body = await written(live, b"PUBLISHED", method="GET", params=params, headers=headers)
    assert body.startswith(f"id: {cursor}\n".encode())
    assert b"CREATED" not in body
    headers["Last-Event-ID"] = "not one"
    assert (await live.http.get("/graphql", params=params, headers=headers)).status_code == 400
    head = await live.http.head("/graphql", params=params, headers={"Accept": EVENT_STREAM})
    assert (head.status_code, head.headers["Content-Type"]) == (200, SSEFormat.media_type)


async def test_parts_are_written_as_apollo_has_them(live: LiveServer) -> None:
    """Each ends with the next one's boundary, so that a client need not wait for what comes later."""
    await live.graphql.create(await live.account(), **POST)
    headers, body = await written(live, b'"PUBLISHED"', json=ALL, headers={"Accept": f"{MULTIPART},{JSON}"})
    assert headers["Content-Type"] == 'multipart/mixed;boundary="graphql";subscriptionSpec="1.0"'
    before, *parts, after = body.split(b"\r\n--graphql")
    assert (before, after) == (b"", b"")
    result = [json.loads(part.removeprefix(b"\r\ncontent-type: application/json\r\n\r\n")) for part in parts]
    assert result[0] == {}
    assert [part["payload"]["data"]["postEvents"]["type"] for part in result[1:]] == ["CREATED", "PUBLISHED"]


async def test_a_silence_is_broken(live: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a comment that moves the cursor past what is nothing to this client, or by an empty part."""
    monkeypatch.setattr(SSEFormat, "heartbeat_interval", 0.05)
    monkeypatch.setattr(MultipartFormat, "heartbeat_interval", 0.05)
    await live.graphql.create(await live.account(), **POST)
    nothing = {"query": 'subscription { postEvents(types: LIKED, since: "0") { id } }'}
    _, body = await written(live, b": ping", json=nothing, headers={"Accept": EVENT_STREAM})
    assert body.endswith(b"id: %d\n: ping\n\n" % live.gateway.log.position)
    _, body = await written(live, b"{}\r\n--graphql\r\ncontent", json=nothing, headers={"Accept": MULTIPART})


async def test_a_server_that_goes_says_when_to_come_back(live: LiveServer) -> None:
    """Before that it takes no more."""
    async with open_sse_stream(live.http, EVENTS) as stream:
        multipart = asyncio.create_task(live.http.post("/graphql", json=ALL, headers={"Accept": MULTIPART}))
        await wait_until(lambda: live.gateway.streams.count == 2)
        live.gateway.streams.drain()
        assert 500 <= (await stream.event()).retry <= 5000
        assert await stream.event() is None
    last = (await multipart).content
    assert last.endswith(b"\r\n--graphql--\r\n")
    assert json.loads(last.split(b"\r\n\r\n")[-1].split(b"\r\n")[0])["payload"] is None
    assert (await live.http.post("/graphql", json=ALL, headers={"Accept": EVENT_STREAM})).status_code == 503


async def test_streams_are_counted(sqlite_url: str, make_live_server: Any) -> None:
    """So many for each caller; one more is refused until another ends."""
    live = await make_live_server(sqlite_url, max_streams_per_viewer=1)
    async with open_sse_stream(live.http, EVENTS):
        response = await live.http.post("/graphql", json=ALL, headers={"Accept": EVENT_STREAM})
        assert (response.status_code, response.headers["Content-Type"]) == (429, JSON)
        async with open_sse_stream(live.http, EVENTS, await live.account()):
            assert live.gateway.streams.count == 2
    await wait_until(lambda: live.gateway.streams.count == 0)
    async with open_sse_stream(live.http, EVENTS):
        assert live.gateway.streams.count == 1


async def test_a_client_that_does_not_read_is_disconnected(live: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may come back and resume; others hear everything meanwhile."""
    monkeypatch.setattr(eager_send, "SEND_TIMEOUT_SECONDS", 0.2)
    author = await live.account()
    query = "subscription { postEvents { type post { a: content b: content c: content d: content e: content } } }"
    silent = live.http.stream("POST", "/graphql", json={"query": query}, headers={"Accept": EVENT_STREAM})
    async with silent, open_sse_stream(live.http, query) as reader:
        while live.gateway.streams.count == 2:
            await live.graphql.create(author, title="Long", content="x" * 100_000, status="PUBLISHED")
            assert await reader.types(2) == ["CREATED", "PUBLISHED"]
