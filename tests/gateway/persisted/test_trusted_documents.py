"""Trusted documents: asked for by their ids over every transport, and what becomes of all others."""

import json
from typing import Any

import httpx
import pytest

from gateway.persisted.resolver import digest
from gateway.persisted.trusted_documents import CachedDocument, TrustedDocuments
from models import Database, Role
from models.errors import Unavailable
from resolvers import trusted_documents
from tests.gateway.persisted.test_apq import hashed, told
from tests.support.accounts import bearer
from tests.support.live_server import open_live_server
from tests.support.servers import Server
from tests.support.subscribers import open_socket
from tests.support.writing import create_category

VIEWER = "query Viewer { viewer { name } }"
EVENTS = "subscription Events($since: ID) { postEvents(since: $since) { type } }"
DELETE = "mutation Delete($id: ID!) { deletePost(id: $id) }"
UNTRUSTED = (403, "DOCUMENT_NOT_TRUSTED", "Only trusted documents are accepted")
INTROSPECTION = "{ __schema { queryType { name } } }"
NOBODY = {"data": {"viewer": None}}

DEEP = "{ posts(first: 1) { nodes { author { posts(first: 1) { nodes { author { posts { nodes { id } } } } } } } } }"
"""Nested 9 deep, where 12 are allowed."""


async def ask(server: Server, viewer: Any = None, **body: Any) -> httpx.Response:
    return await server.anonymous.post("/graphql", json=body, headers=bearer(viewer))


@pytest.mark.parametrize(
    "named",
    [
        {"documentId": "viewer-1"},
        {"documentId": f"sha256:{digest(VIEWER)}"},
        {"documentId": digest(VIEWER)},
        {"doc_id": "viewer-1", "query": None},
        {"id": "viewer-1", "query": ""},
        {"extensions": hashed(VIEWER)},
        {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "viewer-1"}}},
    ],
    ids=lambda named: next(iter(named)),
)
@pytest.mark.parametrize("mode", ["off", "require"])
async def test_a_trusted_document_is_asked_for_by_its_id(make_server, trust, named, mode) -> None:
    """By POST and by GET, as the specification has it, as Relay's clients do, and as Apollo's."""
    await trust({"viewer-1": VIEWER})
    server = await make_server(trusted_documents=mode)
    account = await server.account("Tess Trusted")
    assert (await ask(server, account, **named)).json() == {"data": {"viewer": {"name": "Tess Trusted"}}}
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in named.items() if value}
    assert (await server.anonymous.get("/graphql", params=texts)).json() == NOBODY


@pytest.mark.parametrize("id", ["viewer-2", "", "\0", "two words", "x" * 100_000, f"sha256:{digest(DELETE)}"])
async def test_an_id_that_nothing_has_is_404(server: Server, id: str) -> None:
    """One without text is no request at all."""
    assert told(await ask(server, documentId=id or " "))[:2] == (404, "NOT_FOUND")
    assert told(await ask(server, documentId=5))[:2] == (400, "VALIDATION_ERROR")
    assert told(await ask(server, documentId=None))[:2] == (400, "VALIDATION_ERROR")


async def test_where_trust_is_required_nothing_else_runs(make_server, trust) -> None:
    """Whoever sends it, an admin too. The text of a trusted document is as good as its id."""
    await trust({"viewer-1": VIEWER})
    server = await make_server(trusted_documents="require", graphql_max_batch=2)
    viewers = None, await server.account(), await server.account(role=Role.ADMIN)
    for viewer in viewers:
        assert told(await ask(server, viewer, query="{ viewer { name } }")) == UNTRUSTED
        assert told(await ask(server, viewer, query="{ not even valid")) == UNTRUSTED
        text = "{ categories { id } }"
        assert told(await ask(server, viewer, query=text, extensions=hashed(text))) == UNTRUSTED
        assert told(await ask(server, viewer, extensions=hashed(text)))[1] == "PERSISTED_QUERY_NOT_FOUND"
    assert (await ask(server, query=VIEWER)).json() == NOBODY
    batch = await server.anonymous.post("/graphql", json=[{"query": DEEP}, {"documentId": "viewer-1"}])
    rejected, answered = batch.json()
    assert (rejected["errors"][0]["extensions"]["code"], answered) == ("DOCUMENT_NOT_TRUSTED", NOBODY)
    by_get = await server.anonymous.get("/graphql", params={"query": DEEP})
    assert told(by_get) == UNTRUSTED


async def test_graphiql_may_still_look_at_the_schema(make_server) -> None:
    """Where strangers may: in development, but not in production. What it runs has to be trusted."""
    server = await make_server(trusted_documents="require")
    assert (await ask(server, query=INTROSPECTION)).json() == {"data": {"__schema": {"queryType": {"name": "Query"}}}}
    assert told(await ask(server, query="{ __schema { queryType { name } } viewer { id } }")) == UNTRUSTED
    production = await make_server(trusted_documents="require", environment="production")
    assert told(await ask(production, query=INTROSPECTION)) == UNTRUSTED


async def test_where_trust_is_preferred_other_documents_have_half_of_the_limits(make_server, trust) -> None:
    await trust({"deep": DEEP})
    server = await make_server(trusted_documents="prefer")
    other = DEEP.replace("id", "title")
    assert told(await ask(server, query=other)) == (
        400,
        "VALIDATION_ERROR",
        "The operation is nested deeper than 6, which is allowed only for trusted documents",
    )
    assert (await ask(server, query="{ viewer { name } }")).json() == NOBODY
    assert (await ask(server, query=DEEP)).json() == (await ask(server, documentId="deep")).json()
    assert (await ask(server, query=DEEP)).status_code == 200
    log = await make_server(trusted_documents="log")
    assert (await ask(log, query=other)).status_code == 200


async def test_an_id_over_a_socket_and_as_a_stream(database_url, trust) -> None:
    """Queries and subscriptions alike; texts are refused there too."""
    await trust({"viewer": VIEWER, "events": EVENTS})
    async with open_live_server(database_url, trusted_documents="require") as live:
        payload = {"documentId": "events", "variables": {"since": "0"}}
        async with open_socket(live.address) as client:
            await client.send({"id": "1", "type": "subscribe", "payload": {"documentId": "viewer"}})
            assert await client.next_value("1") is None
            assert await client.receive() == {"id": "1", "type": "complete"}
            await client.send({"id": "2", "type": "subscribe", "payload": {**payload, "documentId": "nothing"}})
            assert await client.error("2") == "NOT_FOUND"
            assert await client.error(await client.subscribe("{ tags { id } }")) == "DOCUMENT_NOT_TRUSTED"
            await client.send({"id": "3", "type": "subscribe", "payload": {"extensions": hashed(EVENTS)}})
            await live.subscribed()
            account = await live.account()
            await trusted_documents.add(
                live.db, [trusted_documents.TrustedDocument("create", digest(CREATE), CREATE, "Create")]
            )
            written = await live.http.post("/graphql", json={"documentId": "create"}, headers=account.headers)
            assert written.json() == {"data": {"createPost": {"status": "PUBLISHED"}}}
            assert await client.next_value("3") == {"type": "CREATED"}
        accept = {"Accept": "text/event-stream"}
        async with live.http.stream("POST", "/graphql", json=payload, headers=accept) as response:
            lines = response.aiter_lines()
            while not (line := await anext(lines)).startswith("data: {"):
                pass
            assert json.loads(line.removeprefix("data: ")) == {"data": {"postEvents": {"type": "CREATED"}}}
        rejected = await live.http.post("/graphql", json={"query": EVENTS.replace("type", "id")}, headers=accept)
        assert '"code":"DOCUMENT_NOT_TRUSTED"' in rejected.text
        assert rejected.headers["Content-Type"].startswith("text/event-stream")


CREATE = """mutation Create {
    createPost(input: {title: "By its id", content: "Long enough to be content.", status: PUBLISHED}) { status }
}"""


@pytest.mark.parametrize(
    "payload", [{}, {"documentId": 5}, {"extensions": {"persistedQuery": 5}}, {"query": 5, "id": "x"}]
)
async def test_a_subscribe_message_that_names_its_document_wrongly_ends_the_socket(database_url, payload) -> None:
    async with open_live_server(database_url) as live, open_socket(live.address) as client:
        await client.send({"id": "1", "type": "subscribe", "payload": payload})
        assert (await client.wait_closed())[0] == 4400


async def test_a_trusted_mutation_is_not_for_get(make_server, trust) -> None:
    await trust({"delete": DELETE})
    server = await make_server()
    rejected = await server.anonymous.get("/graphql", params={"documentId": "delete", "variables": '{"id": "x"}'})
    assert (rejected.status_code, rejected.headers["Allow"]) == (405, "POST")


async def test_a_cdn_may_keep_what_is_read_by_id_alone(make_server, trust) -> None:
    """Shared where nobody said who they are and it makes no difference; a tag for whoever asks again."""
    await trust({"categories": "{ categories { name } }", "viewer": VIEWER})
    server = await make_server(trusted_documents="require")
    await create_category(server.db, "Tools")

    async def read(id: str, **headers: str) -> httpx.Response:
        return await server.anonymous.get(f"/graphql?documentId={id}", headers=headers)

    kept = await read("categories")
    assert kept.json() == {"data": {"categories": [{"name": "Tools"}]}}
    assert kept.headers["Cache-Control"] == "public, max-age=60"
    again = await read("categories", **{"If-None-Match": kept.headers["ETag"]})
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", kept.headers["ETag"])
    account = await server.account()
    assert (await read("categories", **account.headers)).headers["Cache-Control"] == "private, max-age=60"
    assert (await read("viewer")).headers["Cache-Control"] == "private, no-cache"
    assert (await read("nothing")).headers["Cache-Control"] == "no-store"


async def test_where_documents_cannot_be_looked_up_clients_are_told_when_to_come_back(make_server, monkeypatch) -> None:
    server = await make_server()

    def away():
        raise Unavailable

    monkeypatch.setattr(server.app.state.gateway.db, "reading", away)
    rejected = await ask(server, documentId="anything")
    assert told(rejected)[:2] == (503, "UNAVAILABLE")
    assert rejected.headers["Retry-After"] == "1"


async def test_browsers_that_open_a_documents_address_get_its_answer(make_server, trust) -> None:
    await trust({"viewer": VIEWER})
    server = await make_server()
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    assert (await server.anonymous.get("/graphql?documentId=viewer", headers=browser)).json() == NOBODY


async def test_a_server_that_knows_a_document_answers_it_while_the_database_is_away(database_url, monkeypatch) -> None:
    """What it does not know it cannot say."""
    db = Database(database_url)
    await trusted_documents.add(db, [trusted_documents.TrustedDocument("viewer", digest(VIEWER), VIEWER, "Viewer")])
    trusted = TrustedDocuments(db)
    assert await trusted.get_text("viewer") == VIEWER
    trusted.cache.put("viewer", CachedDocument(VIEWER, expires_at=0.0))

    def away():
        raise Unavailable

    monkeypatch.setattr(db, "reading", away)
    assert await trusted.get_text("viewer") == VIEWER
    with pytest.raises(Unavailable):
        await trusted.get_text("other")
    await db.close()
