"""Errors have a place and a code, and one refused field leaves the others."""

import logging

import pytest

from gateway.graphql.database import ReadDatabase
from gateway.graphql.engine import Engine, StaticQuery
from models.errors import Forbidden, Unavailable, ValidationError
from schema import schema
from tests.gateway.graphql import world
from tests.gateway.graphql.conftest import EngineClient

POST = str(world.POSTS[0].id)


async def test_a_refused_nullable_field_is_null_beside_its_siblings(client: EngineClient) -> None:
    """Refused by a value of the document or by one of the request."""
    for source, variables in [
        ("{ a: viewer { name } b: viewer { posts(first: 0) { totalCount } } categories { slug } }", None),
        (
            "query($n: Int) { a: viewer { name } b: viewer { posts(first: $n) { totalCount } } categories { slug } }",
            {"n": 0},
        ),
    ]:
        result = await client(source, variables, world.SOMEBODY)
        name = world.USERS[1].name
        assert result["data"] == {"a": {"name": name}, "b": None, "categories": [{"slug": "c0"}, {"slug": "c1"}]}
        (error,) = result["errors"]
        column = source.index("posts") + 1
        assert error == {
            "message": "first: must be between 1 and 100",
            "locations": [{"line": 1, "column": column}],
            "path": ["b", "posts"],
            "extensions": {
                "code": "VALIDATION_ERROR",
                "status": 400,
                "details": {"first": ["must be between 1 and 100"]},
                "requestId": "r",
            },
        }


async def test_a_refused_required_field_leaves_no_data(client: EngineClient) -> None:
    """As the specification has it: what must not be null takes its parent with it."""
    result = await client("{ viewer { name } posts(first: 0) { totalCount } more: posts(last: 0) { totalCount } }")
    assert result["data"] is None
    assert [error["path"] for error in result["errors"]] == [["posts"], ["more"]]


async def test_a_refusal_in_a_list_is_at_its_first_row(client: EngineClient) -> None:
    """Paths have an index where the answer has a list."""
    rejected = await client.error("{ posts { edges { node { comments(first: 0) { totalCount } } } } }")
    assert rejected["path"] == ["posts", "edges", 0, "node", "comments"]


@pytest.mark.parametrize("deleted", ["true", "$d"])
async def test_only_admins_list_what_was_deleted(client: EngineClient, deleted: str) -> None:
    """Others are refused, whether there is something deleted or not."""
    source = f"query($d: Boolean = true) {{ posts(filter: {{deleted: {deleted}, status: null}}) {{ totalCount }} }}"
    source = source if deleted == "$d" else source.replace("query($d: Boolean = true)", "")
    for viewer in (None, world.SOMEBODY):
        rejected = await client.error(source, viewer=viewer)
        assert rejected["extensions"]["code"] == Forbidden.code
    gone = sum(post.deleted_at is not None for post in world.POSTS)
    assert await client.data(source, viewer=world.ADMIN) == {"posts": {"totalCount": gone}}


async def test_what_is_missing_hidden_or_malformed_is_null(client: EngineClient) -> None:
    """Without an error."""
    hidden = next(post for post in world.POSTS if post.deleted_at is not None)
    source = """query($i: ID!) { node(id: $i) { id } user(id: $i) { id } post(id: $i) { id }
        a: post(slug: "nope") { id } b: post { id } viewer { id } }"""
    nothing = dict.fromkeys(["node", "user", "post", "a", "b", "viewer"])
    for id in ("", "x", "00000000-0000-0000-0000-000000000000", str(hidden.id), POST[:-1], 7):
        assert await client.data(source, {"i": id}) == nothing


async def test_a_refused_field_beside_introspection_is_refused_alike(client: EngineClient) -> None:
    """graphql-core, completing the answer, hears of the refusal at its field."""
    result = await client(
        "{ __schema { queryType { name } } viewer { posts(first: 0) { totalCount } } }", viewer=world.SOMEBODY
    )
    assert result["data"] == {"__schema": {"queryType": {"name": "Query"}}, "viewer": None}
    assert [error["path"] for error in result["errors"]] == [["viewer", "posts"]]
    assert result["errors"][0]["extensions"]["details"] == {"first": ["must be between 1 and 100"]}


class Broken:
    """A database that fails."""

    def __init__(self, reads: ReadDatabase, error: Exception) -> None:
        self.dialect, self.error = reads.dialect, error

    async def fetch_row(self, sql: str, parameters: object) -> object:
        raise self.error

    async def close(self) -> None: ...


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (Unavailable(), "UNAVAILABLE", "Temporarily unavailable; try again"),
        (RuntimeError("the password is hunter2"), "INTERNAL_ERROR", "Internal server error"),
    ],
)
async def test_a_failing_database_is_never_described(
    client: EngineClient, caplog: pytest.LogCaptureFixture, error: Exception, code: str, message: str
) -> None:
    """What nobody expected is logged with its cause, and masked."""
    broken = Broken(client.reads, error)
    request = EngineClient(client.db, broken, Engine(schema, broken))
    with caplog.at_level(logging.ERROR, "gateway.graphql"):
        result = await request("{ viewer { id } }")
    assert result["data"] is None
    assert (result["errors"][0]["message"], result["errors"][0]["extensions"]["code"]) == (message, code)
    assert [record.exc_info[1] for record in caplog.records] == ([error] if code == "INTERNAL_ERROR" else [])


async def test_a_static_query_raises_its_first_error(client: EngineClient) -> None:
    """REST gets the JSON text of each root field, or the first error."""
    query = StaticQuery(
        "query($id: ID, $n: Int, $f: PostFilter) { post(id: $id) { id } posts(first: $n, filter: $f) { totalCount } }"
    )
    client.engine.prepare([query])
    read = await client.engine.execute_static(query, {"id": world.POSTS[0].id, "n": 3}, world.ADMIN)
    assert list(read) == ["post", "posts"]
    assert read["post"].replace(b" ", b"") == b'{"id":"%s"}' % POST.encode()
    assert (await client.engine.execute_static(query, {"id": "x", "n": 3}, None))["post"] == b"null"
    for variables, refusal in [
        ({"n": 0}, ValidationError.for_fields(first="must be between 1 and 100")),
        ({"n": 2**40}, None),
        ({"n": 1, "f": {"deleted": True}}, Forbidden("Only an admin may list deleted posts")),
        ({"n": 1, "f": {"q": "\0"}}, None),
    ]:
        with pytest.raises(type(refusal or ValidationError())) as raised:
            await client.engine.execute_static(query, variables, None)
        assert refusal is None or (raised.value.message, raised.value.details) == (refusal.message, refusal.details)


async def test_one_document_may_hold_several_operations(client: EngineClient) -> None:
    """The named one runs; a name that is not there is a request error."""
    source = "query A { viewer { id } } query B { categories { slug } }"
    assert (await client(source, operation_name="B"))["data"] == {"categories": [{"slug": "c0"}, {"slug": "c1"}]}
    assert (await client(source, operation_name="C"))["errors"][0]["message"] == 'There is no operation "C"'


async def test_a_get_changes_nothing(client: EngineClient) -> None:
    """A mutation that must be a query is refused before it runs."""
    result = await client(f'mutation {{ likePost(id: "{POST}") {{ id }} }}', only_queries=True)
    assert list(result) == ["errors"]
    assert result["errors"][0]["extensions"] == {"code": "METHOD_NOT_ALLOWED", "status": 405, "requestId": "r"}
