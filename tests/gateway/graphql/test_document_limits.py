"""What a document may ask for, and how it is refused: before anybody spends time on it."""

import time

import pytest

from gateway.graphql.engine import DocumentLimits, Engine
from schema import schema
from tests.gateway.graphql.conftest import EngineClient

LEVEL = "posts { nodes { author { "
DEEP = "{ " + LEVEL * 3 + "posts { nodes { … } } " + "} " * 10
TWICE = "author { posts { nodes { ...B } edges { node { ...B } } } }"
WIDE = (
    "{ posts { nodes { ...A } edges { node { ...A } } } }"
    f" fragment A on Post {{ {TWICE} }}"
    f" fragment B on Post {{ {TWICE.replace('B', 'C')} }}"
    f" fragment C on Post {{ {'id ' * 100} }}"
)


def aliased(times: int, field: str) -> str:
    return "".join(f"a{n}: {field} " for n in range(times))


def within(start: str, repeated: str, end: str) -> str:
    return start + repeated + end


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (DEEP.replace("…", "author { name }"), "The operation is nested deeper than 12"),
        (within("{ ", aliased(21, "viewer { id }"), "}"), "The operation asks for more root fields than 20"),
        (within("{ viewer { ", aliased(31, "id"), "} }"), "The operation uses more aliases than 30"),
        (within("{ ", "viewer { id } " * 501, "}"), "Syntax Error: Document contains more than 2000 tokens"),
        (WIDE, "The operation asks for more fields than 500"),
        (
            "{ viewer { ...A } } fragment A on User { posts { nodes { author { ...A } } } }",
            "The operation is nested deeper",
        ),
        ("{ nope }", "Cannot query field 'nope' on type 'Query'. Did you mean 'node'?"),
        ("{ viewer { id }", "Syntax Error: Expected Name, found <EOF>."),
        (
            "query A { viewer { id } } query B { viewer { id } }",
            "The document has several operations: name the one to run",
        ),
    ],
)
async def test_a_document_beyond_its_limits_is_a_request_error(client: EngineClient, source: str, message: str) -> None:
    """It has a place and a code, and no `data`."""
    result = await client(source)
    assert list(result) == ["errors"]
    assert result["errors"][0]["message"].startswith(message)
    assert result["errors"][0]["extensions"] == {"code": "VALIDATION_ERROR", "status": 400, "requestId": "r"}


async def test_only_the_first_of_many_errors_are_returned(client: EngineClient) -> None:
    """And that there are more."""
    for wrong, result in ((20, ""), (21, "The document has more errors than these 20")):
        errors = (await client("{ viewer { " + "x " * wrong + "} }"))["errors"]
        unknown = "Cannot query field 'x' on type 'User'."
        assert [error["message"] for error in errors] == [unknown] * 20 + [result] * (wrong - 20)
        assert {error["extensions"]["code"] for error in errors} == {"VALIDATION_ERROR"}


async def test_depth_twelve_is_answered(client: EngineClient) -> None:
    """Twelve levels are within bounds, and one statement."""
    before = client.statements
    assert (await client(DEEP.replace("…", "id")))["data"]["posts"]["nodes"]
    assert client.statements == before + 1


async def test_without_introspection_nobody_learns_the_schema(client: EngineClient) -> None:
    """Neither by asking for it nor by what a typing error suggests; `__typename` is told all the same."""
    closed = EngineClient(
        client.db, client.reads, Engine(schema, client.reads, DocumentLimits(introspection=False, suggestions=False))
    )
    assert (await closed.error("{ __schema { types { name } } }"))["message"] == "Introspection is disabled"
    assert (await closed.error('{ viewer { id } x: __type(name: "Post") { name } }'))["locations"] == [
        {"line": 1, "column": 17}
    ]
    assert (await closed.error("{ nod }"))["message"] == "Cannot query field 'nod' on type 'Query'."
    unknown = await closed.error("query($o: PostOrder) { posts(orderBy: $o) { totalCount } }", {"o": "NEWES"})
    assert "NEWEST" not in unknown["message"]
    assert await closed.data("{ __typename }") == {"__typename": "Query"}


@pytest.mark.parametrize(
    "source",
    [
        within("{ posts { nodes { ", "id " * 490, "} } }"),
        within("{ ", "viewer { id } " * 20, "}"),
        within("{ posts { nodes { ", "author { name } " * 245, "} } }"),
        "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }",
        "{" * 600,
        "{ a" * 300,
        within("query(", "".join(f"$v{n}: Int " for n in range(600)), ") { viewer { id } }"),
        within("{ posts(filter: ", "{a: " * 150 + "1" + "}" * 150, ") { totalCount } }"),
    ],
)
async def test_no_document_keeps_the_server_busy(client: EngineClient, source: str) -> None:
    """Whatever it is, it is answered or refused within two seconds of this process's own, and never by a 500."""
    started = time.process_time()
    result = await client(source)
    assert time.process_time() - started < 2
    assert all(error["extensions"]["status"] == 400 for error in result.get("errors", ()))


async def test_texts_with_nul_are_refused_wherever_they_stand(client: EngineClient) -> None:
    """Postgres cannot keep U+0000, so neither database is asked."""
    for source, variables in [
        ('{ posts(filter: {q: "a\\u0000"}) { totalCount } }', None),
        ('query($q: String = "\\u0000") { posts(filter: {q: $q}) { totalCount } }', None),
        ("query($q: String) { posts(filter: {q: $q}) { totalCount } }", {"q": "\0"}),
        ("query($f: PostFilter) { posts(filter: $f) { totalCount } }", {"f": {"tag": "\0"}}),
        ("query($a: String) { posts(after: $a) { totalCount } }", {"a": "\0"}),
        ("query($s: String) { post(slug: $s) { id } }", {"s": "\0"}),
    ]:
        rejected = await client.error(source, variables)
        assert rejected["extensions"]["code"] == "VALIDATION_ERROR"
        assert "U+0000" in rejected["message"]
    assert await client.data('query($i: ID!) { node(id: $i) { id } a: user(id: "\\u00e9") { id } }', {"i": "x"}) == {
        "node": None,
        "a": None,
    }
