"""What REST adds to the operations: entity tags, conditional writes, locations, a complete OpenAPI document."""

from collections.abc import Iterator
from typing import Any
from unittest.mock import ANY

import httpx
import pytest

from gateway.graphql.request import TO_BE_ASKED_FOR
from gateway.http.conditional import matches
from gateway.rest.framework.responses import VersionedBody, parse_if_match, wrap_data
from models.errors import Refusal
from schema import schema
from tests.support.accounts import Account
from tests.support.callers import Rest
from tests.support.servers import Server

WRONG_BODIES = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"\xff",
    b'{"title": NaN}',
    b'{"title": "\\ud800"}',
    b'{"title": %b}' % (b"9" * 9999),
    b"[" * 100_000,
]
POST = {"title": "Hello", "content": "Long enough.", "status": "PUBLISHED"}


@pytest.mark.parametrize(
    ("if_match", "version"),
    [
        (None, None),
        ("*", None),
        ('"3.abc"', 3),
        ('W/"3.abc"', 3),
        ('"1.a", "3.b", "2.c"', 3),
        ('"3"', 3),
        ('"abc"', 0),
        ("nonsense", 0),
        ("", 0),
        ('"99999999999999999999999999.a"', 0),
        ('"².a"', 0),
    ],
)
def test_if_match_names_a_version(if_match: str | None, version: int | None) -> None:
    """What is no tag of ours is the version that nothing has."""
    assert parse_if_match(if_match) == version


@pytest.mark.parametrize("if_none_match", ['"1.a"', 'W/"1.a"', '"0.x", "1.a"', "*"])
def test_if_none_match_knows_a_tag_again(if_none_match: str) -> None:
    """Weakly, as a proxy that compresses has weakened it."""
    assert matches(if_none_match, '"1.a"')


@pytest.mark.parametrize("if_none_match", ['"1.b"', "1.a", ""])
def test_if_none_match_compares_all_of_a_tag(if_none_match: str) -> None:
    """The version alone is not enough."""
    assert not matches(if_none_match, '"1.a"')


def test_no_content_passes_for_a_version() -> None:
    """A post may well be about JSON."""
    text = rb'{"content":"{\"version\":7, \"version\":8}","version" : 12}'
    assert VersionedBody(wrap_data(text), TO_BE_ASKED_FOR).etag.startswith('"12.')


@pytest.mark.anyio
async def test_a_post_is_made_tagged_changed_and_put_away(server: Server, author: Account, stranger: Account) -> None:
    """The life of a post over plain HTTP."""
    http, me = server.anonymous, author.headers
    created = await http.post("/api/posts", json=POST, headers=me)
    where, tag = created.headers["Location"], created.headers["ETag"]
    assert (created.status_code, where) == (201, f"/api/posts/{created.json()['data']['id']}")

    read = await http.get(where, headers=me)
    assert (read.headers["ETag"], read.json()) == (tag, created.json())
    again = await http.get(where, headers=me | {"If-None-Match": tag})
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)

    await server.anonymous.post(
        "/graphql", json={"query": f'mutation {{ likePost(id: "{where[-36:]}") {{ id }} }}'}, headers=stranger.headers
    )
    liked = await http.get(where, headers=me | {"If-None-Match": tag})
    assert (liked.status_code, liked.json()["data"]["likeCount"]) == (200, 1)

    changed = await http.patch(where, json={"title": "Bye"}, headers=me | {"If-Match": tag})
    assert (changed.status_code, changed.json()["data"]["title"]) == (200, "Bye")
    for method, body in (("PATCH", {"title": "No"}), ("PUT", POST), ("DELETE", None)):
        stale = await http.request(method, where, json=body, headers=me | {"If-Match": tag})
        assert (stale.status_code, stale.json()["code"]) == (412, "PRECONDITION_FAILED")

    gone = await http.delete(where, headers=me | {"If-Match": changed.headers["ETag"]})
    assert (gone.status_code, gone.content) == (204, b"")
    assert (await http.get(where, headers=me)).json()["error"] == "Post not found"


@pytest.mark.anyio
@pytest.mark.parametrize("id", ["nonsense", "%00", "%ff", "1", "00000000-0000-0000-0000-000000000000", "{}"])
@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_a_malformed_id_names_no_post(server: Server, author: Account, method: str, id: str) -> None:
    """It is not found, like any other that is not there."""
    body = {"title": "x"} if method == "PATCH" else None
    response = await server.anonymous.request(method, f"/api/posts/{id}", json=body, headers=author.headers)
    assert (response.status_code, response.json()["error"]) == (404, "Post not found")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("page=0", "page"),
        ("page=x", "page"),
        ("page=", "page"),
        ("page=99999999999999999999999", "page"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=-1", "limit"),
        ("status=LOST", "status"),
        ("status=", "status"),
        ("q=%00", "q"),
    ],
)
async def test_a_wrong_parameter_is_named(server: Server, query: str, field: str) -> None:
    """And refused, not put right."""
    response = await server.anonymous.get(f"/api/posts?{query}")
    assert (response.status_code, response.json()["code"]) == (400, "VALIDATION_ERROR")
    assert list(response.json()["details"]) == [field]


@pytest.mark.anyio
async def test_parameters_that_nobody_knows_are_ignored(server: Server) -> None:
    """Such as those that trackers add to links."""
    assert (await server.anonymous.get("/api/posts?utm_source=x")).status_code == 200


@pytest.mark.anyio
@pytest.mark.parametrize("body", WRONG_BODIES, ids=lambda body: body[:20].decode("latin-1"))
async def test_a_wrong_body_is_400(server: Server, author: Account, body: bytes) -> None:
    """Whatever is wrong with it."""
    headers = author.headers | {"Content-Type": "application/json"}
    response = await server.anonymous.post("/api/posts", content=body, headers=headers)
    assert (response.status_code, response.json()["code"]) == (400, "VALIDATION_ERROR")


@pytest.mark.anyio
async def test_every_wrong_field_is_named(rest: Rest, author: Account) -> None:
    """Unknown ones among them, as clients spell them."""
    response = await rest.send(
        "POST", "/posts", author, json={"title": "", "categoryId": 5, "authorId": "x", "content": "\0" * 20}
    )
    assert response.status_code == 400
    assert set(response.json()["details"]) == {"title", "categoryId", "authorId", "content"}


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("body", "details"),
    [
        ([], {"body": ["Input should be an object"]}),
        (POST | {"categoryId": 5}, {"categoryId": ["Input should be an id"]}),
        (POST | {"tags": ["tag"] * 21}, {"tags": ["List should have at most 20 items"]}),
        (POST | {"tags": {}}, {"tags": ["Input should be a valid list"]}),
    ],
    ids=str,
)
async def test_what_is_wrong_is_said_in_words_of_json(rest: Rest, author: Account, body: Any, details: Any) -> None:
    """And not in those of Python."""
    response = await rest.send("POST", "/posts", author, json=body)
    assert (response.status_code, response.json()["details"]) == (400, details)


@pytest.mark.anyio
async def test_health_tells_how_the_database_is(server: Server) -> None:
    """Without Redis configured there is nothing to say of it."""
    for path, checks in (("", {"database": "ok"}), ("/ready", {"database": "ok"}), ("/live", {})):
        response = await server.anonymous.get(f"/api/health{path}")
        answer = response.json()
        assert (response.status_code, answer["status"], answer["checks"]) == (200, "healthy", checks)
        assert set(answer) == {"status", "timestamp", "version", "checks", "uptime"}


@pytest.mark.anyio
async def test_without_redis_the_server_is_degraded(make_server) -> None:
    """It answers all the same."""
    server = await make_server(redis_url="redis://127.0.0.1:1/0")
    response = await server.anonymous.get("/api/health")
    assert (response.status_code, response.json()["status"]) == (200, "degraded")
    assert response.json()["checks"] == {"database": "ok", "redis": "error"}


@pytest.mark.anyio
async def test_the_openapi_document_describes_every_refusal(server: Server) -> None:
    """In one form, with nothing of FastAPI's own left over."""
    document = (await server.anonymous.get("/openapi.json")).json()
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert {operation["operationId"] for operation in operations} >= {"listPosts", "createPost", "getPost", "refresh"}
    for operation in operations:
        refusals = {code: answer for code, answer in operation["responses"].items() if int(code) >= 400}
        for code, answer in refusals.items():
            schema = "Health" if "Health" in operation["tags"] and code == "503" else "Error"
            assert (code, answer["content"]["application/json"]["schema"]["$ref"]) == (
                code,
                f"#/components/schemas/{schema}",
            )
    assert "HTTPValidationError" not in document["components"]["schemas"]


def undescribed(document: dict[str, Any]) -> Iterator[str]:
    """Every part of an OpenAPI document that says nothing of itself, or only what FastAPI says of anything."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parts = [operation, *operation.get("parameters", ()), *operation["responses"].values()]
            for part in parts:
                said = part.get("description") or part.get("schema", {}).get("description")
                if said in (None, "", "Successful Response"):
                    yield f"{method} {path} {part.get('name', part)}"
    for name, shape in document["components"]["schemas"].items():
        if not shape.get("description"):
            yield name
        yield from (f"{name}.{field}" for field, it in shape.get("properties", {}).items() if "description" not in it)


@pytest.mark.anyio
async def test_the_openapi_document_says_of_everything_what_it_is(server: Server) -> None:
    """Of a field that GraphQL has too, in GraphQL's words."""
    document = (await server.anonymous.get("/openapi.json")).json()
    assert list(undescribed(document)) == []
    told = document["components"]["schemas"]["CreatePost"]["properties"]["title"]["description"]
    assert told == schema._schema.get_type("CreatePostInput").fields["title"].description
    used = {tag for path in document["paths"].values() for operation in path.values() for tag in operation["tags"]}
    assert {tag["name"] for tag in document["tags"] if tag["description"]} == used


@pytest.mark.anyio
async def test_the_openapi_document_tells_of_every_header(server: Server, author: Account) -> None:
    """When to try again, what is left of a limit, the request's id, and how to sign in."""
    document = (await server.anonymous.get("/openapi.json")).json()
    assert {
        (status, header)
        for path, methods in document["paths"].items()
        for operation in methods.values()
        for status, header in (("401", "WWW-Authenticate"), ("429", "Retry-After"), ("503", "Retry-After"))
        if status in operation["responses"] and not path.startswith(("/api/health", "/metrics"))
        if header not in operation["responses"][status]["headers"]
    } == set()
    answered = await server.anonymous.post("/api/posts", json=POST, headers=author.headers)
    told = document["paths"]["/api/posts"]["post"]["responses"]["201"]["headers"]
    ours = {name for name in answered.headers if name.startswith("x-r") or name in ("etag", "location")}
    assert {"idempotency-replayed", *ours} - {name.lower() for name in told} == set()
    assert set(document["paths"]["/uploads/{name}"]["get"]["responses"]) & {"401", "429"} == set()


@pytest.mark.anyio
async def test_what_the_openapi_document_shows_can_be_sent(server: Server, author: Account) -> None:
    """Its examples of bodies are taken, and those of refusals are what refusals look like."""
    document = (await server.anonymous.get("/openapi.json")).json()

    async def send_example(method: str, path: str, url: str | None = None, **options: Any) -> httpx.Response:
        schema = document["paths"][path][method]["requestBody"]["content"]["application/json"]["schema"]
        (example,) = schema["examples"]
        return await server.anonymous.request(method, url or path, json=example, **options)

    created = await send_example("post", "/api/posts", headers=author.headers)
    url = created.headers["Location"]
    replaced = await send_example("put", "/api/posts/{id}", url, headers=author.headers)
    changed = await send_example("patch", "/api/posts/{id}", url, headers=author.headers)
    registered = await send_example("post", "/api/auth/register")
    logged_in = await send_example("post", "/api/auth/login")
    responses = created, replaced, changed, registered, logged_in
    assert [response.status_code for response in responses] == [201, 200, 200, 201, 200]
    missing = document["paths"]["/api/posts/{id}"]["get"]["responses"]["404"]["content"]["application/json"]
    assert missing["examples"]["NOT_FOUND"]["value"] == {"error": "Not found", "code": "NOT_FOUND", "requestId": ANY}


@pytest.mark.anyio
async def test_answers_have_the_documented_fields(server: Server, author: Account) -> None:
    """The shapes in the document are checked against what is really sent."""
    document = (await server.anonymous.get("/openapi.json")).json()
    schemas: dict[str, Any] = document["components"]["schemas"]
    post = (await server.anonymous.post("/api/posts", json=POST, headers=author.headers)).json()["data"]
    page = (await server.anonymous.get("/api/posts")).json()
    me = (await server.anonymous.get("/api/auth/me", headers=author.headers)).json()["data"]
    assert set(post) == set(schemas["Post"]["properties"])
    assert set(page["data"][0]) == set(schemas["PostItem"]["properties"])
    assert set(page["pagination"]) == set(schemas["Pagination"]["properties"])
    assert set(me) == set(schemas["User"]["properties"])


def test_every_refusal_has_its_line_in_both_renderers() -> None:
    """One class, one status, one code, and the same words in both protocols."""
    from gateway.http.errors import every_class, graphql_body, rest_body

    for kind in every_class(Refusal):
        refusal = kind(3) if kind.__name__ == "RateLimited" else kind()
        rest = rest_body(refusal, "id")
        (error,) = graphql_body(refusal, "id")["errors"]
        extensions = error["extensions"]
        assert (rest["error"], rest["code"], rest["requestId"]) == (error["message"], extensions["code"], "id")
        assert rest.get("details") == extensions.get("details")
        assert extensions["status"] == kind.status
