"""A document with variables, directives and fragments says what the same document without them says."""

from typing import Any

import pytest

from gateway.graphql.engine import DocumentLimits, Engine
from models import Viewer
from schema import schema
from tests.gateway.graphql import world
from tests.gateway.graphql.conftest import EngineClient

USER = str(world.USERS[1].id)
LIST = """query($c: Boolean!, $s: Boolean = false, $f: PostFilter, $n: Int, $o: PostOrder) {
  posts(first: 9, filter: $f, orderBy: $o) {
    totalCount @include(if: $c) nodes { ...F title @skip(if: $s) author @include(if: $c) { name }
      comments(first: $n) { nodes { content } } } } }
  fragment F on Post { id x: title ... on Node @skip(if: $s) { __typename } }"""
ITEM = "id x: title __typename title author { name } comments(first: 2) { nodes { content } }"
SHORT = "id x: title comments%s { nodes { content } }"
EVERYTHING = "{status: null}"


def posts(arguments: str, fields: str, before: str = "") -> str:
    return f"{{ posts({arguments}) {{ {before} nodes {{ {fields} }} }} }}"


@pytest.mark.parametrize(
    ("source", "variables", "plain"),
    [
        (
            LIST,
            {"c": True, "f": {"status": "PUBLISHED", "q": "_"}, "n": 2, "o": "TITLE"},
            posts('first: 9, filter: {status: PUBLISHED, q: "_"}, orderBy: TITLE', ITEM, "totalCount"),
        ),
        (
            LIST,
            {"c": False, "s": True, "f": {"authorId": USER}, "n": 1},
            posts(f'first: 9, filter: {{authorId: "{USER}"}}', SHORT.replace("%s", "(first: 1)")),
        ),
        (
            LIST,
            {"c": False, "s": True, "f": None, "n": None, "o": None},
            posts("first: 9", SHORT.replace("%s", "")),
        ),
        (
            LIST,
            {"c": False, "s": True, "f": {"status": None}},
            posts("first: 9, filter: {status: null}", SHORT.replace("%s", "")),
        ),
        (
            "query($s: PostStatus) { posts(filter: {status: $s}) { nodes { id } } }",
            {},
            "{ posts(filter: {status: PUBLISHED}) { nodes { id } } }",
        ),
        (
            "query($i: ID!) { node(id: $i) { ... on Post { title } ... on User { name } } }",
            {"i": USER},
            f'{{ node(id: "{USER}") {{ ... on User {{ name }} }} }}',
        ),
        (
            "query($l: Int = 3, $p: Int) { postPage(limit: $l, page: $p) { data { id } page limit total pages } }",
            {"p": 2},
            "{ postPage(page: 2, limit: 3) { data { id } page limit total pages } }",
        ),
        (
            "query($l: Int, $p: Int) { postPage(limit: $l, page: $p) { data { id } page limit } }",
            {"l": None, "p": None},
            "{ postPage { data { id } page limit } }",
        ),
    ],
)
async def test_variables_change_nothing(
    client: EngineClient, source: str, variables: dict[str, Any], plain: str
) -> None:
    """Nor do defaults, nulls, directives, fragments and aliases."""
    for viewer in world.VIEWERS:
        assert await client.data(source, variables, viewer) == await client.data(plain, viewer=viewer)


async def test_plans_are_shared_by_values_of_one_shape(client: EngineClient) -> None:
    """Two requests that differ in numbers, texts, ids and in who asks are one plan; null is another shape."""
    source = "query($q: String, $n: Int) { posts(first: $n, filter: {q: $q}) { totalCount nodes { id } } }"
    plans = client.engine.planner.plans
    before = len(plans.values)
    for n, user in enumerate(world.USERS[1:], start=1):
        await client.data(source, {"q": f"Content {n}", "n": n}, Viewer(user.id))
    assert len(plans.values) == before + 1
    await client.data(source, {"q": None, "n": 1}, world.SOMEBODY)
    assert len(plans.values) == before + 2


async def test_introspection_stands_beside_data(client: EngineClient) -> None:
    """graphql-core completes what the database has answered, which is read once."""
    source = """query($i: ID!) { __schema { queryType { name } } node(id: $i) { id ... on User { n: name posts(first: 2)
        { nodes { status createdAt tags { name } } pageInfo { hasNextPage } } } ... on Post { title } } __typename }"""
    before = client.statements
    result = await client.data(source, {"i": USER}, world.SOMEBODY)
    assert client.statements == before + 1
    plain = source.replace("__schema { queryType { name } }", "")
    assert result == {"__schema": {"queryType": {"name": "Query"}}} | await client.data(
        plain, {"i": USER}, world.SOMEBODY
    )
    assert list(result) == ["__schema", "node", "__typename"]


async def test_introspection_alone_asks_no_database(client: EngineClient) -> None:
    """It is the same for everybody."""
    before = client.statements
    assert (await client.data('{ __type(name: "Post") { kind } t: __typename }')) == {
        "__type": {"kind": "OBJECT"},
        "t": "Query",
    }
    assert client.statements == before


@pytest.mark.parametrize(
    ("source", "variables", "words"),
    [
        ("query($n: Int) { posts(first: $n) { totalCount } }", {"n": "5"}, "Int cannot represent"),
        ("query($n: Int) { posts(first: $n) { totalCount } }", {"n": 2**31}, "Int cannot represent"),
        ("query($i: ID!) { node(id: $i) { id } }", {}, "to be provided"),
        ("query($i: ID!) { node(id: $i) { id } }", {"i": 1.5}, "ID cannot represent"),
        ("query($f: PostFilter) { posts(filter: $f) { totalCount } }", {"f": {"nope": 1}}, "nope"),
        ("query($f: PostFilter) { posts(filter: $f) { totalCount } }", {"f": {"status": "NOPE"}}, "NOPE"),
        ("query($f: PostFilter) { posts(filter: $f) { totalCount } }", {"f": []}, "PostFilter"),
    ],
)
async def test_variables_of_another_type_are_refused(
    client: EngineClient, source: str, variables: dict[str, Any], words: str
) -> None:
    """Before anything runs."""
    result = await client(source, variables)
    assert list(result) == ["errors"]
    assert words in result["errors"][0]["message"]
    assert result["errors"][0]["extensions"]["code"] == "VALIDATION_ERROR"


async def test_response_keys_may_be_long_and_many(client: EngineClient) -> None:
    """Postgres cuts names at 63 bytes and takes a hundred arguments; neither is the client's business."""
    client = EngineClient(client.db, client.reads, Engine(schema, client.reads, DocumentLimits(aliases=200)))
    long = "_" + "a" * 200
    request = " ".join(f"{long}{n}: {field}" for n, field in enumerate(["id", "title", "likeCount"] * 40))
    fields = """id title slug content excerpt status publishedAt createdAt updatedAt version commentCount likeCount
        viewerHasLiked __typename author { id } category { id } tags { id } comments(first: 1) { nodes { id } }"""
    source = f"{{ posts(first: 2) {{ nodes {{ {request} {fields} }} }} }}"
    (row, _) = (await client.data(source))["posts"]["nodes"]
    assert len(row) == 120 + 18
    assert row[f"{long}1"] == row["title"]
    plain = (await client.data(f"{{ posts(first: 2) {{ nodes {{ {fields} }} }} }}"))["posts"]["nodes"][0]
    assert {key: value for key, value in row.items() if not key.startswith("_a")} == plain
