"""What no client should send gets the contract's 4xx, in both protocols, on both databases, and leaves nothing."""

import json
from typing import Any

import httpx
import pytest

from models import Event, Post, Tag, User
from tests.support.callers import POST
from tests.support.writing import CONTENT, UNKNOWN_ID, count_rows

CREATE = f"mutation($input: CreatePostInput!) {{ createPost(input: $input) {{ {POST} }} }}"
WRITTEN = [Post, Tag, Event, User]


def code_of(response: httpx.Response) -> str | None:
    """The code an answer was refused with, in either protocol's form; None for an answer that was not."""
    assert response.status_code < 500, response.text
    output = response.json()
    if "errors" in output:
        return output["errors"][0]["extensions"]["code"]
    return output.get("code")


def as_graphql(input: str) -> bytes:
    """A request that creates a post of these JSON fields, written by hand."""
    return f'{{"query": {json.dumps(CREATE)}, "variables": {{"input": {input}}}}}'.encode()


BODIES = {
    "NUL in the title": rf'{{"title": "a\u0000b", "content": "{CONTENT}"}}',
    "NUL in the content": r'{"title": "Fine", "content": "long enough \u0000 to be content"}',
    "NUL in the excerpt": rf'{{"title": "Fine", "content": "{CONTENT}", "excerpt": "\u0000"}}',
    "NUL in a tag": rf'{{"title": "Fine", "content": "{CONTENT}", "tags": ["a\u0000b"]}}',
    "NUL in an id": rf'{{"title": "Fine", "content": "{CONTENT}", "categoryId": "\u0000"}}',
    "a lone surrogate in the title": rf'{{"title": "\ud800", "content": "{CONTENT}"}}',
    "a lone low surrogate in a tag": rf'{{"title": "Fine", "content": "{CONTENT}", "tags": ["\udfff"]}}',
    "an unknown field": rf'{{"title": "Fine", "content": "{CONTENT}", "colour": "red"}}',
    "a field in snake_case": rf'{{"title": "Fine", "content": "{CONTENT}", "category_id": null}}',
    "a number for a title": rf'{{"title": 7, "content": "{CONTENT}"}}',
    "a list for a title": rf'{{"title": ["Fine"], "content": "{CONTENT}"}}',
    "an object for a title": rf'{{"title": {{}}, "content": "{CONTENT}"}}',
    "a boolean for content": r'{"title": "Fine", "content": true}',
    "no content": r'{"title": "Fine"}',
    "null for a title": rf'{{"title": null, "content": "{CONTENT}"}}',
    "a number among the tags": rf'{{"title": "Fine", "content": "{CONTENT}", "tags": [1]}}',
    "null among the tags": rf'{{"title": "Fine", "content": "{CONTENT}", "tags": [null]}}',
    "an unknown status": rf'{{"title": "Fine", "content": "{CONTENT}", "status": "SOLD"}}',
    "a status in lower case": rf'{{"title": "Fine", "content": "{CONTENT}", "status": "draft"}}',
    "a number for an id": rf'{{"title": "Fine", "content": "{CONTENT}", "categoryId": 1.5}}',
    "a huge number for an id": rf'{{"title": "Fine", "content": "{CONTENT}", "categoryId": 18446744073709551617}}',
    "an id of another table": rf'{{"title": "Fine", "content": "{CONTENT}", "categoryId": "{UNKNOWN_ID}"}}',
    "a list for the input": r"[]",
    "a text for the input": r'"text"',
    "nothing for the input": r"null",
    "NaN": r"NaN",
}


@pytest.mark.parametrize("protocol", ["graphql", "rest"])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_a_post_that_cannot_be_is_refused_and_leaves_nothing(server, author, protocol, body):
    """VALIDATION_ERROR, no row, no event, no tag, no slug."""
    path, content = ("/graphql", as_graphql(body)) if protocol == "graphql" else ("/api/posts", body.encode())
    headers = {**author.headers, "Content-Type": "application/json"}
    response = await server.anonymous.post(path, content=content, headers=headers)
    assert code_of(response) == "VALIDATION_ERROR"
    assert response.status_code == 400 or protocol == "graphql"
    assert await count_rows(server.db, WRITTEN) == {"posts": 0, "tags": 0, "events": 0, "users": 1}


BYTES = {
    "invalid UTF-8": b'{"title": "\xff\xfe", "content": "long enough"}',
    "overlong UTF-8": b'{"title": "\xc0\x80", "content": "long enough"}',
    "a surrogate in UTF-8": b'{"title": "\xed\xa0\x80", "content": "long enough"}',
    "UTF-16": '{"title": "Fine"}'.encode("utf-16"),
    "no JSON": b"title=Fine",
    "half of it": b'{"title": "Fi',
    "nothing": b"",
    "only spaces": b"   ",
    "more after it": b'{"title": "Fine"} {"title": "More"}',
    "brackets without end": b"[" * 100_000,
    "objects without end": b'{"a":' * 100_000,
    "a number without end": b'{"title": ' + b"9" * 100_000 + b"}",
}
SENT_TO = ["/graphql", "/api/posts", "/api/auth/login", "/api/auth/register", "/api/auth/refresh"]
NO_JSON = {
    f"{name} to {path}": (path, body)
    for path in SENT_TO
    for name, body in BYTES.items()
    if body.strip() or path != "/api/auth/refresh"  # there an empty body stands for the cookie
}


@pytest.mark.parametrize(("path", "body"), NO_JSON.values(), ids=NO_JSON)
async def test_a_body_that_is_no_json_is_a_validation_error(server, author, path, body):
    """Wherever it is sent."""
    headers = {**author.headers, "Content-Type": "application/json"}
    response = await server.anonymous.post(path, content=body, headers=headers)
    assert (response.status_code, code_of(response)) == (400, "VALIDATION_ERROR")


@pytest.mark.parametrize("path", ["/graphql", "/api/posts", "/api/auth/login"])
async def test_a_body_over_a_mebibyte_is_refused(server, author, path):
    """413, whether or not its length was announced; the largest that is allowed is read."""
    headers = {**author.headers, "Content-Type": "application/json"}

    async def chunks():
        for _ in range(1025):
            yield b" " * 1024

    for content in (b" " * (1024 * 1024 + 1), chunks()):
        response = await server.anonymous.post(path, content=content, headers=headers)
        assert (response.status_code, code_of(response)) == (413, "PAYLOAD_TOO_LARGE")
    largest = b'{"title": "' + b"x" * (1024 * 1024 - 13) + b'"}'
    assert len(largest) == 1024 * 1024
    assert code_of(await server.anonymous.post(path, content=largest, headers=headers)) == "VALIDATION_ERROR"


BIG = [2**31, 2**31 - 1, 2**63 - 1, 2**63, 2**64, -(2**63), 10**30]


@pytest.mark.parametrize("number", BIG, ids=lambda number: f"{number:.0e}")
async def test_numbers_too_large_are_refused_or_lead_nowhere(server, author, draft, number):
    """Pages, limits, versions and cursors of 64 bits and more."""
    id = draft["id"]
    requests: list[tuple[str, dict[str, Any]]] = [
        ("query($n: Int) { postPage(page: $n) { total } }", {"n": number}),
        ("query($n: Int) { postPage(limit: $n) { total } }", {"n": number}),
        ("query($n: Int) { posts(first: $n) { totalCount } }", {"n": number}),
        (
            f'mutation($n: Int) {{ updatePost(id: "{id}", input: {{title: "New"}}, version: $n) {{ id }} }}',
            {"n": number},
        ),
        (f"{{ postPage(page: {number}) {{ total }} }}", {}),
        (f"{{ posts(first: {number}) {{ totalCount }} }}", {}),
    ]
    responses = [
        await server.anonymous.post("/graphql", json={"query": query, "variables": variables}, headers=author.headers)
        for query, variables in requests
    ]
    allowed = {"VALIDATION_ERROR", "PRECONDITION_FAILED", None}
    assert {code_of(response) for response in responses} <= allowed
    for path in (f"/api/posts?page={number}", f"/api/posts?limit={number}"):
        assert code_of(await server.anonymous.get(path)) in allowed
    stale = {**author.headers, "If-Match": f'"{number}.x"'}
    response = await server.anonymous.patch(f"/api/posts/{draft['id']}", json={"title": "New"}, headers=stale)
    assert response.status_code in (400, 412)


QUERIES = [
    "page=", "page=one", "page=1.5", "page=0x10", "page=%00", "limit=1e3", "limit=",
    "status=", "status=sold", "status=published", "page=1&page=2", "q=%00", "q=%ff",
    "q=%ed%a0%80", "colour=red", "%00=1", "q=" + "x" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query[:12])
async def test_a_query_string_that_makes_no_sense_is_never_a_fault(server, query):
    """It is refused by name, or means nothing."""
    response = await server.anonymous.get(f"/api/posts?{query}")
    assert (response.status_code, code_of(response)) in [(400, "VALIDATION_ERROR"), (200, None)]


@pytest.mark.parametrize("query", ["page=one", "limit=0", "status=sold", "q=%00"])
async def test_a_query_string_names_what_is_wrong(server, query):
    """By the parameter's name."""
    response = await server.anonymous.get(f"/api/posts?{query}")
    assert (response.status_code, list(response.json()["details"])) == (400, [query.partition("=")[0]])


TEXTS = {"NUL": r"a\u0000b", "a lone surrogate": r"\ud800", "two in the wrong order": r"\udc00\ud800"}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize(
    "field",
    [
        "posts(filter: {q: $t}) { totalCount }",
        "posts(filter: {tag: $t}) { totalCount }",
        "postPage(filter: {q: $t}) { total }",
        "post(slug: $t) { id }",
        "posts(after: $t) { totalCount }",
    ],
)
async def test_text_that_no_database_keeps_is_refused_as_a_variable_and_in_a_document(server, field, text):
    """Alike on both, in both places."""
    as_variable = f'{{"query": {json.dumps("query($t: String) { " + field + " }")}, "variables": {{"t": "{text}"}}}}'
    as_literal = json.dumps({"query": "{ " + field.replace("$t", f'"{text}"') + " }"})
    for body in (as_variable, as_literal):
        headers = {"Content-Type": "application/json"}
        response = await server.anonymous.post("/graphql", content=body.encode(), headers=headers)
        assert code_of(response) == "VALIDATION_ERROR"


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_an_id_with_such_text_is_refused_or_names_nothing(server, text):
    """Never a fault."""
    body = f'{{"query": "query($id: ID!) {{ node(id: $id) {{ id }} }}", "variables": {{"id": "{text}"}}}}'
    response = await server.anonymous.post(
        "/graphql", content=body.encode(), headers={"Content-Type": "application/json"}
    )
    assert code_of(response) in ("VALIDATION_ERROR", None)


@pytest.mark.parametrize(
    "request_body",
    [
        {}, {"query": None}, {"query": 7}, {"query": "{ __typename }", "variables": []},
        {"query": "{ __typename }", "variables": "x"}, {"query": "{ __typename }", "operationName": 7},
        {"query": "{ __typename }", "operationName": "Missing"}, {"query": ["{ __typename }"]}, [], "text", 7,
    ],
    ids=str,
)  # fmt: skip
async def test_a_graphql_request_of_the_wrong_shape_is_refused(server, request_body):
    """400: it is no GraphQL request."""
    response = await server.anonymous.post("/graphql", json=request_body)
    assert code_of(response) == "VALIDATION_ERROR"


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("query($id: ID!) { node(id: $id) { id } }", {}),
        ("query($id: ID!) { node(id: $id) { id } }", {"id": None}),
        ("query($id: ID!) { node(id: $id) { id } }", {"id": {}}),
        ("query($id: ID!) { node(id: $id) { id } }", {"id": True}),
        ("query($n: Int) { posts(first: $n) { totalCount } }", {"n": "one"}),
        ("query($n: Int) { posts(first: $n) { totalCount } }", {"n": 1.5}),
        ("query($n: Int) { posts(first: $n) { totalCount } }", {"n": True}),
        ("query($f: PostFilter) { posts(filter: $f) { totalCount } }", {"f": {"colour": "red"}}),
        ("query($f: PostFilter) { posts(filter: $f) { totalCount } }", {"f": []}),
        ("query($f: PostFilter) { posts(filter: $f) { totalCount } }", {"f": {"q": 7}}),
        ("query($o: PostOrder) { posts(orderBy: $o) { totalCount } }", {"o": "SIDEWAYS"}),
    ],
    ids=str,
)
async def test_variables_of_the_wrong_type_are_refused(server, query, variables):
    """Before anything is read."""
    response = await server.anonymous.post("/graphql", json={"query": query, "variables": variables})
    assert code_of(response) == "VALIDATION_ERROR"
    assert "data" not in response.json()


async def test_variables_that_no_operation_knows_are_ignored(graphql):
    """As GraphQL has it."""
    assert await graphql.ask("{ __typename }", unknown=1) == {"__typename": "Query"}


@pytest.mark.parametrize("operation", ["nested", "aliases", "roots", "tokens", "cycle", "comments"])
async def test_a_document_over_its_limits_is_refused(server, operation):
    """Depth 12, 30 aliases, 20 root fields, 2,000 tokens; fragments in a circle."""
    documents = {
        "nested": "{ categories { posts { nodes { "
        + "author { posts { nodes { " * 5
        + "id"
        + " } } }" * 5
        + " } } } }",
        "aliases": "{ categories { " + " ".join(f"a{n}: name" for n in range(31)) + " } }",
        "roots": "{ " + " ".join(f"a{n}: __typename" for n in range(21)) + " }",
        "tokens": "{ categories { " + "name " * 2001 + "} }",
        "cycle": "{ viewer { ...a } } fragment a on User { ...b } fragment b on User { ...a }",
        "comments": "{ a" + "(" * 3000 + " }",
    }
    response = await server.anonymous.post("/graphql", json={"query": documents[operation]})
    assert code_of(response) == "VALIDATION_ERROR"


HEADERS = {
    "Authorization": [b"Bearer \xff", b"Bearer", b"Basic eDp5", b"bearer x", b"\x01"],
    "Accept": [b"rubbish", b"*/*;q=x", b"", b"\xff"],
    "If-None-Match": [b"rubbish", b"*", b"\xff", b'W/"'],
    "Cookie": [b"\xff", b"dovetail_session", b"dovetail_session=;;;", b"="],
    "Origin": [b"\xff", b"rubbish", b""],
    "X-Request-ID": [b"\xff", b""],
    "Content-Length": [b"12"],
    "X-Forwarded-For": [b"rubbish", b"1.2.3.4, \xff", b""],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in HEADERS.items() for value in values])
async def test_no_header_is_a_fault(server, published, name, value):
    """Whatever bytes it holds."""
    for path in ("/api/posts", f"/api/posts/{published['id']}", "/graphql?query={__typename}", "/api/health"):
        response = await server.anonymous.get(path, headers={name: value})
        assert response.status_code in (200, 304, 400, 401, 406), (path, response.text)
