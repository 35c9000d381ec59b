"""A fault of ours, on every way to a client: told in no words of its own, and found in the log by the id that was."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

import pytest
from sqlalchemy import text

from models import Event
from tests.live.listening import Listening, listening
from tests.live.subscribers import socket
from tests.support.accounts import Account
from tests.support.language_models import Call, language_model
from tests.support.payments import SECRET, deliver, event
from tests.uploads.files import picture, send

LIST = "{ posts { nodes { title } } }"
WRITE = 'mutation { createPost(input: {title: "A post", content: "Long enough to be one."}) { id } }'
FOLLOW = "subscription { postEvents { post { title } } }"
EVENTS, PARTS = "text/event-stream", "multipart/mixed;subscriptionSpec=1.0"
GRIEF = "headline", "title", "uploads", "webhook_events", "no such", "does not exist", "Traceback", "confidence"
"""Of the cause, and of what we know of it."""
CODES = {"INTERNAL_ERROR", "UNAVAILABLE", "UPSTREAM_ERROR"}


@dataclass
class Told:
    """What a client heard, and the id that it would complain with."""

    text: str
    request_id: str


async def broken(live: Listening) -> None:
    """Columns and tables that were there are not, as after a migration that went wrong."""
    async with live.db.engine.begin() as connection:
        await connection.execute(text("alter table posts rename column title to headline"))
        for table in ("uploads", "webhook_events"):
            await connection.execute(text(f"alter table {table} rename to {table}_elsewhere"))


async def liked(live: Listening, viewer: Account, post_id: str) -> None:
    """Something happens to a post, which no client could bring about now."""
    async with live.db.writing() as session:
        id = UUID(post_id)
        session.add(Event(type="post.liked", post_id=id, entity_id=id, actor_id=UUID(viewer.id)))


async def over_http(live: Listening, viewer: Account) -> AsyncIterator[Told]:
    http, headers = live.http, viewer.headers
    post = {"title": "A post", "content": "Long enough to be one."}
    ask = {"headers": headers, "json": {"query": LIST}}
    for answer in [
        await http.get("/api/posts"),
        await http.get("/api/posts", headers=headers),
        await http.post("/api/posts", json=post, headers=headers),
        await http.post("/api/posts", json=post, headers={**headers, "Idempotency-Key": "once"}),
        await http.post("/graphql", **ask),
        await http.post("/graphql", json=[{"query": LIST}], headers=headers),
        await http.get("/graphql", params={"query": LIST}),
        await http.post("/graphql", json={"query": WRITE}, headers=headers),
        await http.post("/graphql", json={"query": LIST}, headers={"Accept": EVENTS}),
        await send(http, viewer, ("a.png", picture(), "image/png")),
        await send(http, viewer, ("a.png", picture(), "image/png"), name="files"),
        await deliver(http, event("customer.created", {"object": "customer", "id": "cus_1"})),
        await http.post("/api/chat", json={"messages": [{"role": "user", "content": "Hello?"}]}, headers=headers),
        await http.post("/api/chat", json={"messages": [{"role": "user", "content": "Go on."}]}, headers=headers),
    ]:
        yield Told(answer.text, answer.headers["X-Request-ID"])


async def over_a_stream(live: Listening, viewer: Account, accept: str, post_id: str) -> Told:
    headers = {**viewer.headers, "Accept": accept}
    async with live.http.stream("POST", "/graphql", json={"query": FOLLOW}, headers=headers) as response:
        said = ""
        happening = asyncio.create_task(liked(live, viewer, post_id))
        async with asyncio.timeout(10):
            async for piece in response.aiter_text():
                said += piece
                if "errors" in said:
                    break
        await happening
        return Told(said, response.headers["X-Request-ID"])


async def over_a_socket(live: Listening, viewer: Account, post_id: str) -> AsyncIterator[Told]:
    async with socket(live.address, viewer) as client:
        for query in (LIST, WRITE, FOLLOW):
            id = await client.subscribe(query)
            if query is FOLLOW:
                await live.subscribed()
                await liked(live, viewer, post_id)
            message = await client.heard()
            assert (message["id"], message["type"]) == (id, "next")
            yield Told(json.dumps(message), message["payload"]["errors"][0]["extensions"]["requestId"])
            if query is not FOLLOW:
                await client.heard()


async def of_the_feed(live: Listening, viewer: Account) -> Told:
    """It asks the database for nothing, but where it stands to one who comes back from somewhere unknown."""
    async with live.db.engine.begin() as connection:
        await connection.execute(text("alter table events rename to events_elsewhere"))
    answer = await live.http.get("/api/events", params={"since": 999_999}, headers=viewer.headers)
    return Told(answer.text, answer.headers["X-Request-ID"])


async def failing(call: Call) -> None:
    """The first time at once; then midway."""
    if call.body["messages"][0]["content"] == "Hello?":
        return await call.refuse(500, "told in confidence")
    await call.head()
    await call.say("As I said")
    call.cut()
    return None


@pytest.mark.parametrize("dialect", ["sqlite", "postgres"])
async def test_every_fault_is_masked_and_found_by_its_id(unused_database, dialect, capsys):
    url = await unused_database(dialect)
    production = {"environment": "production", "graphql_max_batch": 2, "stripe_webhook_secret": SECRET}
    async with language_model(failing) as model:
        chat = {"openai_api_key": "key", "openai_base_url": model.address}
        async with listening(url, **production, **chat) as live:
            viewer = await live.account()
            post = await live.graphql.one(WRITE, viewer)
            await broken(live)
            told = [each async for each in over_http(live, viewer)]
            told += [await over_a_stream(live, viewer, accept, post["id"]) for accept in (EVENTS, PARTS)]
            told += [each async for each in over_a_socket(live, viewer, post["id"])]
            told.append(await of_the_feed(live, viewer))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    for each in told:
        assert any(code in each.text for code in CODES), each
        assert not [word for word in GRIEF if word in each.text], each
        found = [line for line in lines if line.get("requestId") == each.request_id and line["message"] != "request"]
        assert any("exception" in line or line["level"] == "warning" for line in found), each
