"""`gateway documents` and `gateway schema check`, as an operator runs them, and the ledger that they read."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from gateway.persisted.resolver import digest
from models import Database, DocumentId, DocumentUse, utcnow
from models.errors import Unavailable
from resolvers import document_usage
from tests.support.live_server import open_live_server
from tests.support.servers import open_server
from tests.support.subscribers import open_socket

VIEWER = "query Viewer { viewer { name } }"
TAGS = "query Tags { tags { name } }"
SCHEMA = Path(__file__).parents[3] / "schema/schema.graphql"
APOLLO = {"format": "apollo-persisted-query-manifest", "version": 1}


@pytest.fixture
def add(gateway, tmp_path):
    async def run(manifest, name="manifest.json"):
        file = tmp_path / name
        file.write_text(manifest if isinstance(manifest, str) else json.dumps(manifest))
        return await gateway("documents", "add", str(file))

    return run


async def used(database_url, query: str, *clients: tuple[str, str], prefix: str = "apollographql") -> None:
    """Have clients ask, of a server that has ended by the time this returns."""
    async with open_server(database_url, trusted_documents="log") as server:
        for name, version in clients:
            headers = {f"{prefix}-client-name": name, f"{prefix}-client-version": version}
            assert (await server.anonymous.post("/graphql", json={"query": query}, headers=headers)).status_code == 200


async def lines(database_url) -> list[tuple[str, str, int]]:
    db = Database(database_url)
    columns = DocumentUse.client_name, DocumentUse.client_version, DocumentUse.times
    async with db.reading() as session:
        found = [tuple(row) for row in await session.execute(select(*columns).order_by(*columns))]
    await db.close()
    return found


async def aged(database_url, days: int) -> None:
    db, then = Database(database_url), utcnow() - timedelta(days=days)
    async with db.writing() as session:
        await session.execute(update(DocumentId).values(added_at=then))
        await session.execute(update(DocumentUse).values(last_used_at=then))
    await db.close()


async def test_documents_are_added_listed_and_removed(gateway, add):
    assert (await add({"v1": VIEWER, "t1": TAGS})).output == "Added 2 trusted documents; 0 were trusted already\n"
    apollos = {**APOLLO, "operations": [{"id": "v1", "name": "Viewer", "type": "query", "body": VIEWER}]}
    assert (await add(apollos)).output == "Added 0 trusted documents; 1 were trusted already\n"
    assert (await gateway("documents", "list")).output == "t1\tTags\tnever used\nv1\tViewer\tnever used\n"
    rejected = await gateway("documents", "remove", "v1", "v2")
    assert (rejected.exit_code, rejected.stderr) == (1, "v2: no document has this id\n")
    assert (await gateway("documents", "remove", "v1")).exit_code == 0
    assert (await gateway("documents", "list")).output == "t1\tTags\tnever used\n"


async def test_everything_that_is_wrong_is_said_at_once_and_nothing_is_added(gateway, add):
    deep = "{ posts { nodes { author { posts { nodes { author { posts { nodes { author { posts { nodes { id }"
    wrong = {
        "good": VIEWER,
        "two words": VIEWER,
        "sha256:00": VIEWER,
        "syntax": "{",
        "invalid": "{ nowhere alsoNowhere }",
        "deep": deep + " }" * 12,
        "fragment": "fragment F on Tag { id }",
    }
    rejected = await add(wrong)
    assert rejected.exit_code == 1
    assert rejected.stderr.splitlines()[0].endswith("manifest.json: no documents were added")
    text = "\n".join(rejected.stderr.splitlines()[1:])
    for id in wrong.keys() - {"good"}:
        assert f"{id}: " in text
    assert "good: " not in text
    assert text.count("invalid: ") == 2
    assert (await gateway("documents", "list")).output == ""


@pytest.mark.parametrize(
    ("manifest", "text"),
    [
        ("{", "The manifest is not JSON"),
        ([], "The manifest must be"),
        ({"id": 5}, "The manifest must be"),
        ({}, "The manifest contains no documents"),
        ({**APOLLO, "version": 2, "operations": []}, "The manifest's format is not"),
        ({**APOLLO, "operations": {}}, "The manifest has no list"),
        ({**APOLLO, "operations": [{"id": "x"}]}, "without an id or a body"),
    ],
)
async def test_a_file_that_is_no_manifest_is_refused_in_a_sentence(add, manifest, text):
    rejected = await add(manifest)
    assert rejected.exit_code == 1
    assert text in rejected.stderr


async def test_an_id_stands_for_one_document(add):
    await add({"one": VIEWER})
    rejected = await add({"one": TAGS})
    assert (rejected.exit_code, rejected.stderr) == (1, "one: another document has this id; remove it first\n")
    twice = [{"id": "two", "body": VIEWER}, {"id": "two", "body": TAGS}]
    assert "two: is used for two documents" in (await add({**APOLLO, "operations": twice})).stderr


async def test_the_usage_log_names_the_client(database_url, add):
    """By the headers of Apollo's clients, or the plain ones; written when the server ends, at the latest."""
    await used(database_url, VIEWER, ("web", "1.0"), ("web", "1.0"), ("ios", "2"))
    await used(database_url, VIEWER, ("web", "1.0"), ("a\tb" + "x" * 200, "9" * 200), prefix="graphql")
    assert await lines(database_url) == [
        ("ab" + "x" * 62, "9" * 32, 1),
        ("ios", "2", 1),
        ("web", "1.0", 3),
    ]


async def test_a_socket_names_its_client_in_connection_init(database_url):
    """Browsers send no headers of their own with a handshake; other clients do."""
    async with open_live_server(database_url, trusted_documents="log") as live:
        async with open_socket(live.address, init=False) as client:
            await client.send({"type": "connection_init", "payload": {"Apollographql-Client-Name": "page"}})
            assert await client.receive() == {"type": "connection_ack"}
            assert await client.execute(VIEWER) is None
        headers = {"graphql-client-name": "machine", "graphql-client-version": "3"}
        async with open_socket(live.address, additional_headers=headers) as client:
            assert await client.execute(VIEWER) is None
    assert await lines(database_url) == [("machine", "3", 1), ("page", "", 1)]


async def test_what_could_not_be_written_is_written_later(database_url, monkeypatch):
    """Each time that it was asked for counts once."""
    async with open_server(database_url, trusted_documents="log") as server:
        kept = server.app.state.gateway.persisted.usage_log
        for _ in range(2):
            await server.anonymous.post("/graphql", json={"query": VIEWER})
            with monkeypatch.context() as away:
                away.setattr(kept.db, "writing", unreachable)
                with pytest.raises(Unavailable):
                    await kept.write()
    assert await lines(database_url) == [("", "", 2)]


def unreachable():
    raise Unavailable


async def test_what_is_not_valid_or_only_explores_is_not_noted(database_url):
    async with open_server(database_url, trusted_documents="log") as server:
        for query in ("{ nowhere }", "{", "{ __schema { queryType { name } } }"):
            await server.anonymous.post("/graphql", json={"query": query})
    async with open_server(database_url) as server:
        await server.anonymous.post("/graphql", json={"query": VIEWER})
    assert await lines(database_url) == []


async def test_what_clients_invent_is_bounded(database_url, monkeypatch):
    monkeypatch.setattr(document_usage, "MAX_USAGE_ROWS", 2)
    monkeypatch.setattr(document_usage, "MAX_UNTRUSTED_DOCUMENTS", 1)
    await used(database_url, VIEWER, *[("web", str(version)) for version in range(5)])
    await used(database_url, VIEWER, ("web", "1"), ("web", "9"))
    await used(database_url, TAGS, ("web", "1"))
    assert await lines(database_url) == [("(others)", "", 4), ("web", "0", 1), ("web", "1", 2)]


async def test_what_is_old_is_forgotten(database_url, gateway, add):
    """But not that a document is trusted."""
    await add({"v1": VIEWER})
    await used(database_url, VIEWER, ("web", "1"))
    await used(database_url, TAGS, ("web", "1"))
    await aged(database_url, 200)
    db = Database(database_url)
    await document_usage.delete_old(db)
    assert [one.body for one in await document_usage.list_usage(db)] == [VIEWER]
    await db.close()
    assert await lines(database_url) == []
    assert (await gateway("documents", "list")).output == "v1\tViewer\tnever used\n"


async def test_unused_documents_are_listed(database_url, gateway, add):
    await add({"v1": VIEWER, "t1": TAGS})
    assert (await gateway("documents", "unused")).output == ""
    await aged(database_url, 40)
    await used(database_url, VIEWER, ("web", "1"))
    assert (await gateway("documents", "unused")).output == "t1\tTags\tnever used\n"
    assert (await gateway("documents", "unused", "--days", "50")).output == ""
    listed = (await gateway("documents", "list")).output
    assert listed == f"t1\tTags\tnever used\nv1\tViewer\tlast used on {utcnow():%Y-%m-%d}\n"


async def test_a_server_stops_answering_what_was_removed(database_url, gateway, add):
    await add({"v1": VIEWER})
    await gateway("documents", "remove", "v1")
    async with open_server(database_url) as server:
        assert (await server.anonymous.post("/graphql", json={"documentId": "v1"})).status_code == 404


async def test_a_check_names_the_clients_that_a_change_would_break(database_url, gateway, add, tmp_path):
    """The old schema has what this one has not: a field that somebody asks for, and one that nobody does."""
    old = tmp_path / "old.graphql"
    sdl = SCHEMA.read_text()
    assert "\ntype Tag implements Node {\n" in sdl
    old.write_text(
        sdl.replace("\ntype Tag implements Node {\n", "\ntype Tag implements Node {\n colour: Int\n size: Int\n")
    )
    unchanged = await gateway("schema", "check", str(SCHEMA))
    assert (unchanged.exit_code, unchanged.output) == (0, "0 of 0 documents would break\n")

    colours = "query Colours { tags { colour } }"
    db = Database(database_url)
    request = {document_usage.UsageKey(digest(colours), "web", "1.2"): document_usage.UsageCount(7, utcnow())}
    await document_usage.record(db, request, {digest(colours): document_usage.DocumentText(colours, "Colours")})
    await db.close()
    await add({"t1": TAGS})
    checked = await gateway("schema", "check", str(old))
    assert (checked.exit_code, checked.output) == (
        1,
        "Breaking: Field Tag.colour was removed.\n"
        "Breaking: Field Tag.size was removed.\n"
        f"\nColours (sha256:{digest(colours)}, not trusted)\n"
        "  Cannot query field 'colour' on type 'Tag'.\n"
        f"  web 1.2, 7 times, last on {utcnow():%Y-%m-%d}\n"
        "1 of 2 documents would break\n",
    )
    old.write_text("type Query {")
    assert (await gateway("schema", "check", str(old))).exit_code == 2
