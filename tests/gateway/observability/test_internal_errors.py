"""Internal errors on every transport: the response hides the cause, and the log has it under the request id."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

import pytest
from sqlalchemy import text

from models import Event
from tests.support.accounts import Account
from tests.support.language_models import Call, language_model
from tests.support.live_server import LiveServer, open_live_server
from tests.support.payments import SECRET, build_event, deliver
from tests.support.subscribers import open_socket
from tests.support.uploads import make_image, post_files

LIST = "{ posts { nodes { title } } }"
WRITE = 'mutation { createPost(input: {title: "A post", content: "Long enough to be one."}) { id } }'
FOLLOW = "subscription { postEvents { post { title } } }"
EVENTS, PARTS = "text/event-stream", "multipart/mixed;subscriptionSpec=1.0"
SECRET_WORDS = "headline", "title", "uploads", "webhook_events", "no such", "does not exist", "Traceback", "confidence"
"""Words that occur in the causes of the errors."""
CODES = {"INTERNAL_ERROR", "UNAVAILABLE", "UPSTREAM_ERROR"}


@dataclass
class Received:
    """A response with an error, and its request id."""

    text: str
    request_id: str


async def break_database(live: LiveServer) -> None:
    """Rename columns and tables, as a failed migration would."""
    async with live.db.engine.begin() as connection:
        await connection.execute(text("alter table posts rename column title to headline"))
        for table in ("uploads", "webhook_events"):
            await connection.execute(text(f"alter table {table} rename to {table}_elsewhere"))


async def add_event(live: LiveServer, viewer: Account, post_id: str) -> None:
    """Add an event directly: no client can cause one while the database is broken."""
    async with live.db.writing() as session:
        id = UUID(post_id)
        session.add(Event(type="post.liked", post_id=id, entity_id=id, actor_id=UUID(viewer.id)))


async def over_http(live: LiveServer, viewer: Account) -> AsyncIterator[Received]:
    http, headers = live.http, viewer.headers
    post = {"title": "A post", "content": "Long enough to be one."}
    options = {"headers": headers, "json": {"query": LIST}}
    for response in [
        await http.get("/api/posts"),
        await http.get("/api/posts", headers=headers),
        await http.post("/api/posts", json=post, headers=headers),
        await http.post("/api/posts", json=post, headers={**headers, "Idempotency-Key": "once"}),
        await http.post("/graphql", **options),
        await http.post("/graphql", json=[{"query": LIST}], headers=headers),
        await http.get("/graphql", params={"query": LIST}),
        await http.post("/graphql", json={"query": WRITE}, headers=headers),
        await http.post("/graphql", json={"query": LIST}, headers={"Accept": EVENTS}),
        await post_files(http, viewer, ("a.png", make_image(), "image/png")),
        await post_files(http, viewer, ("a.png", make_image(), "image/png"), name="files"),
        await deliver(http, build_event("customer.created", {"object": "customer", "id": "cus_1"})),
        await http.post("/api/chat", json={"messages": [{"role": "user", "content": "Hello?"}]}, headers=headers),
        await http.post("/api/chat", json={"messages": [{"role": "user", "content": "Go on."}]}, headers=headers),
    ]:
        yield Received(response.text, response.headers["X-Request-ID"])


async def over_a_stream(live: LiveServer, viewer: Account, accept: str, post_id: str) -> Received:
    headers = {**viewer.headers, "Accept": accept}
    async with live.http.stream("POST", "/graphql", json={"query": FOLLOW}, headers=headers) as response:
        body = ""
        adding = asyncio.create_task(add_event(live, viewer, post_id))
        async with asyncio.timeout(10):
            async for chunk in response.aiter_text():
                body += chunk
                if "errors" in body:
                    break
        await adding
        return Received(body, response.headers["X-Request-ID"])


async def over_a_socket(live: LiveServer, viewer: Account, post_id: str) -> AsyncIterator[Received]:
    async with open_socket(live.address, viewer) as client:
        for query in (LIST, WRITE, FOLLOW):
            id = await client.subscribe(query)
            if query is FOLLOW:
                await live.subscribed()
                await add_event(live, viewer, post_id)
            message = await client.receive()
            assert (message["id"], message["type"]) == (id, "next")
            yield Received(json.dumps(message), message["payload"]["errors"][0]["extensions"]["requestId"])
            if query is not FOLLOW:
                await client.receive()


async def over_the_feed(live: LiveServer, viewer: Account) -> Received:
    """Resume the feed from an unknown id, the only case in which it reads the database."""
    async with live.db.engine.begin() as connection:
        await connection.execute(text("alter table events rename to events_elsewhere"))
    response = await live.http.get("/api/events", params={"since": 999_999}, headers=viewer.headers)
    return Received(response.text, response.headers["X-Request-ID"])


async def fail(call: Call) -> None:
    """Reject the first request at once, and cut the second response off in the middle."""
    if call.body["messages"][0]["content"] == "Hello?":
        return await call.refuse(500, "said in confidence")
    await call.head()
    await call.send("As I said")
    call.cut()
    return None


@pytest.mark.parametrize("dialect", ["sqlite", "postgres"])
async def test_every_internal_error_is_masked_and_is_logged_with_its_request_id(unused_database, dialect, capsys):
    url = await unused_database(dialect)
    production = {"environment": "production", "graphql_max_batch": 2, "stripe_webhook_secret": SECRET}
    async with language_model(fail) as model:
        chat = {"openai_api_key": "key", "openai_base_url": model.address}
        async with open_live_server(url, **production, **chat) as live:
            viewer = await live.account()
            post = await live.graphql.one(WRITE, viewer)
            await break_database(live)
            received = [each async for each in over_http(live, viewer)]
            received += [await over_a_stream(live, viewer, accept, post["id"]) for accept in (EVENTS, PARTS)]
            received += [each async for each in over_a_socket(live, viewer, post["id"])]
            received.append(await over_the_feed(live, viewer))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    for each in received:
        assert any(code in each.text for code in CODES), each
        assert not [word for word in SECRET_WORDS if word in each.text], each
        found = [line for line in lines if line.get("requestId") == each.request_id and line["message"] != "request"]
        assert any("exception" in line or line["level"] == "warning" for line in found), each
