"""The REST API: ETags, conditional writes, validation errors, health checks and the OpenAPI document."""

from collections.abc import Iterator
from typing import Any
from unittest.mock import ANY

import httpx
import pytest

from gateway.http.conditional import NO_CACHE, etag_matches
from gateway.rest.framework.responses import VersionedBody, parse_if_match, wrap_data
from models.errors import APIError
from schema import schema
from tests.support.accounts import Account
from tests.support.callers import Rest
from tests.support.servers import Server

INVALID_BODIES = [
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
def test_if_match_is_parsed_to_the_highest_version(if_match: str | None, version: int | None) -> None:
    """A tag that this server did not send is version 0, which no post has."""
    assert parse_if_match(if_match) == version


@pytest.mark.parametrize("if_none_match", ['"1.a"', 'W/"1.a"', '"0.x", "1.a"', "*"])
def test_if_none_match_compares_weakly(if_none_match: str) -> None:
    """A proxy that compresses a response makes its ETag weak."""
    assert etag_matches(if_none_match, '"1.a"')


@pytest.mark.parametrize("if_none_match", ['"1.b"', "1.a", ""])
def test_if_none_match_compares_the_whole_etag(if_none_match: str) -> None:
    """An equal version is not enough."""
    assert not etag_matches(if_none_match, '"1.a"')


def test_the_version_in_an_etag_is_not_read_from_the_content() -> None:
    """The content of a post may look like JSON with a `version`."""
    text = rb'{"content":"{\"version\":7, \"version\":8}","version" : 12}'
    assert VersionedBody(wrap_data(text), NO_CACHE).etag.startswith('"12.')


@pytest.mark.anyio
async def test_a_post_is_created_read_changed_and_deleted(server: Server, author: Account, stranger: Account) -> None:
    """With `Location`, `ETag`, `If-None-Match` and `If-Match` on the way."""
    http, me = server.anonymous, author.headers
    created = await http.post("/api/posts", json=POST, headers=me)
    url, etag = created.headers["Location"], created.headers["ETag"]
    assert (created.status_code, url) == (201, f"/api/posts/{created.json()['data']['id']}")

    read = await http.get(url, headers=me)
    assert (read.headers["ETag"], read.json()) == (etag, created.json())
    not_modified = await http.get(url, headers=me | {"If-None-Match": etag})
    assert (not_modified.status_code, not_modified.content, not_modified.headers["ETag"]) == (304, b"", etag)

    await server.anonymous.post(
        "/graphql", json={"query": f'mutation {{ likePost(id: "{url[-36:]}") {{ id }} }}'}, headers=stranger.headers
    )
    liked = await http.get(url, headers=me | {"If-None-Match": etag})
    assert (liked.status_code, liked.json()["data"]["likeCount"]) == (200, 1)

    changed = await http.patch(url, json={"title": "Bye"}, headers=me | {"If-Match": etag})
    assert (changed.status_code, changed.json()["data"]["title"]) == (200, "Bye")
    for method, body in (("PATCH", {"title": "No"}), ("PUT", POST), ("DELETE", None)):
        stale = await http.request(method, url, json=body, headers=me | {"If-Match": etag})
        assert (stale.status_code, stale.json()["code"]) == (412, "PRECONDITION_FAILED")

    deleted = await http.delete(url, headers=me | {"If-Match": changed.headers["ETag"]})
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert (await http.get(url, headers=me)).json()["error"] == "Post not found"


@pytest.mark.anyio
@pytest.mark.parametrize("id", ["nonsense", "%00", "%ff", "1", "00000000-0000-0000-0000-000000000000", "{}"])
@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_an_invalid_id_is_answered_with_404(server: Server, author: Account, method: str, id: str) -> None:
    """As is any other id that no post has."""
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
async def test_an_invalid_query_parameter_is_rejected_by_name(server: Server, query: str, field: str) -> None:
    """Values out of range are not clamped."""
    response = await server.anonymous.get(f"/api/posts?{query}")
    assert (response.status_code, response.json()["code"]) == (400, "VALIDATION_ERROR")
    assert list(response.json()["details"]) == [field]


@pytest.mark.anyio
async def test_unknown_query_parameters_are_ignored(server: Server) -> None:
    """Links carry tracking parameters."""
    assert (await server.anonymous.get("/api/posts?utm_source=x")).status_code == 200


@pytest.mark.anyio
@pytest.mark.parametrize("body", INVALID_BODIES, ids=lambda body: body[:20].decode("latin-1"))
async def test_an_invalid_body_is_answered_with_400(server: Server, author: Account, body: bytes) -> None:
    """Whether it is empty, malformed, no object or nested too deeply."""
    headers = author.headers | {"Content-Type": "application/json"}
    response = await server.anonymous.post("/api/posts", content=body, headers=headers)
    assert (response.status_code, response.json()["code"]) == (400, "VALIDATION_ERROR")


@pytest.mark.anyio
async def test_every_invalid_field_is_named(rest: Rest, author: Account) -> None:
    """Unknown fields too, in camelCase as clients send them."""
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
async def test_validation_messages_speak_of_json(rest: Rest, author: Account, body: Any, details: Any) -> None:
    """pydantic's own messages mention Python's types."""
    response = await rest.send("POST", "/posts", author, json=body)
    assert (response.status_code, response.json()["details"]) == (400, details)


@pytest.mark.anyio
async def test_health_reports_the_database(server: Server) -> None:
    """Redis is reported only if it is configured; `/live` checks nothing."""
    for path, checks in (("", {"database": "ok"}), ("/ready", {"database": "ok"}), ("/live", {})):
        response = await server.anonymous.get(f"/api/health{path}")
        body = response.json()
        assert (response.status_code, body["status"], body["checks"]) == (200, "healthy", checks)
        assert set(body) == {"status", "timestamp", "version", "checks", "uptime"}


@pytest.mark.anyio
async def test_the_server_is_degraded_without_redis(make_server) -> None:
    """It still answers requests, so the status is 200."""
    server = await make_server(redis_url="redis://127.0.0.1:1/0")
    response = await server.anonymous.get("/api/health")
    assert (response.status_code, response.json()["status"]) == (200, "degraded")
    assert response.json()["checks"] == {"database": "ok", "redis": "error"}


@pytest.mark.anyio
async def test_every_documented_error_has_the_error_schema(server: Server) -> None:
    """None has FastAPI's own `HTTPValidationError`."""
    document = (await server.anonymous.get("/openapi.json")).json()
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert {operation["operationId"] for operation in operations} >= {"listPosts", "createPost", "getPost", "refresh"}
    for operation in operations:
        errors = {status: error for status, error in operation["responses"].items() if int(status) >= 400}
        schemas = {status: error["content"]["application/json"]["schema"]["$ref"] for status, error in errors.items()}
        is_health = "Health" in operation["tags"]
        assert schemas == {
            status: f"#/components/schemas/{'Health' if is_health and status == '503' else 'Error'}"
            for status in errors
        }
    assert "HTTPValidationError" not in document["components"]["schemas"]


def find_undescribed(document: dict[str, Any]) -> Iterator[str]:
    """Yield each part of an OpenAPI document that has no description, or only FastAPI's default."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parts = [operation, *operation.get("parameters", ()), *operation["responses"].values()]
            for part in parts:
                description = part.get("description") or part.get("schema", {}).get("description")
                if description in (None, "", "Successful Response"):
                    yield f"{method} {path} {part.get('name', part)}"
    for name, component in document["components"]["schemas"].items():
        if not component.get("description"):
            yield name
        fields = component.get("properties", {})
        yield from (f"{name}.{field}" for field, it in fields.items() if "description" not in it)


@pytest.mark.anyio
async def test_every_part_of_the_openapi_document_is_described(server: Server) -> None:
    """A field that GraphQL has as well has the same description there."""
    document = (await server.anonymous.get("/openapi.json")).json()
    assert list(find_undescribed(document)) == []
    description = document["components"]["schemas"]["CreatePost"]["properties"]["title"]["description"]
    assert description == schema._schema.get_type("CreatePostInput").fields["title"].description
    used = {tag for path in document["paths"].values() for operation in path.values() for tag in operation["tags"]}
    assert {tag["name"] for tag in document["tags"] if tag["description"]} == used


@pytest.mark.anyio
async def test_the_openapi_document_has_every_response_header(server: Server, author: Account) -> None:
    """Rate limits, the request id, `Retry-After` and `WWW-Authenticate`; none of them where it is never sent."""
    document = (await server.anonymous.get("/openapi.json")).json()
    assert {
        (status, header)
        for path, methods in document["paths"].items()
        for operation in methods.values()
        for status, header in (("401", "WWW-Authenticate"), ("429", "Retry-After"), ("503", "Retry-After"))
        if status in operation["responses"] and not path.startswith(("/api/health", "/metrics"))
        if header not in operation["responses"][status]["headers"]
    } == set()
    created = await server.anonymous.post("/api/posts", json=POST, headers=author.headers)
    documented = document["paths"]["/api/posts"]["post"]["responses"]["201"]["headers"]
    sent = {name for name in created.headers if name.startswith("x-r") or name in ("etag", "location")}
    assert {"idempotency-replayed", *sent} - {name.lower() for name in documented} == set()
    assert set(document["paths"]["/uploads/{name}"]["get"]["responses"]) & {"401", "429"} == set()


@pytest.mark.anyio
async def test_the_examples_of_the_openapi_document_are_valid(server: Server, author: Account) -> None:
    """Example bodies are accepted, and example errors have the fields of errors."""
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
async def test_responses_have_the_documented_fields(server: Server, author: Account) -> None:
    """The response schemas are documentation only, so nothing else compares them with responses."""
    document = (await server.anonymous.get("/openapi.json")).json()
    schemas: dict[str, Any] = document["components"]["schemas"]
    post = (await server.anonymous.post("/api/posts", json=POST, headers=author.headers)).json()["data"]
    page = (await server.anonymous.get("/api/posts")).json()
    me = (await server.anonymous.get("/api/auth/me", headers=author.headers)).json()["data"]
    assert set(post) == set(schemas["Post"]["properties"])
    assert set(page["data"][0]) == set(schemas["PostItem"]["properties"])
    assert set(page["pagination"]) == set(schemas["Pagination"]["properties"])
    assert set(me) == set(schemas["User"]["properties"])


def test_every_error_is_rendered_alike_by_both_protocols() -> None:
    """One class, one status, one code and one message."""
    from gateway.http.errors import graphql_body, iter_error_classes, rest_body

    for kind in iter_error_classes(APIError):
        refusal = kind(3) if kind.__name__ == "RateLimited" else kind()
        rest = rest_body(refusal, "id")
        (error,) = graphql_body(refusal, "id")["errors"]
        extensions = error["extensions"]
        assert (rest["error"], rest["code"], rest["requestId"]) == (error["message"], extensions["code"], "id")
        assert rest.get("details") == extensions.get("details")
        assert extensions["status"] == kind.status
