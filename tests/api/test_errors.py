"""One hierarchy of refusals, the same words in both protocols, each with its request's id."""

import re

import orjson
import pytest

from gateway.http.errors import graphql_body, iter_error_classes, rest_body
from models import errors
from models.errors import APIError as Refused
from models.errors import RateLimited
from tests.support.callers import ErrorResponse, graphql_result, rest_result
from tests.support.writing import CONTENT, UNKNOWN_ID

DESIGN = {
    "ValidationError": (400, "VALIDATION_ERROR"),
    "InvalidSignature": (400, "INVALID_SIGNATURE"),
    "Unauthorized": (401, "UNAUTHORIZED"),
    "Forbidden": (403, "FORBIDDEN"),
    "NotFound": (404, "NOT_FOUND"),
    "MethodNotAllowed": (405, "METHOD_NOT_ALLOWED"),
    "NotAcceptable": (406, "NOT_ACCEPTABLE"),
    "Conflict": (409, "CONFLICT"),
    "PreconditionFailed": (412, "PRECONDITION_FAILED"),
    "CursorExpired": (410, "CURSOR_EXPIRED"),
    "PayloadTooLarge": (413, "PAYLOAD_TOO_LARGE"),
    "UnsupportedMediaType": (415, "UNSUPPORTED_MEDIA_TYPE"),
    "RangeNotSatisfiable": (416, "RANGE_NOT_SATISFIABLE"),
    "IdempotencyMismatch": (422, "IDEMPOTENCY_MISMATCH"),
    "RateLimited": (429, "RATE_LIMITED"),
    "PersistedQueryNotFound": (200, "PERSISTED_QUERY_NOT_FOUND"),
    "PersistedQueryNotSupported": (200, "PERSISTED_QUERY_NOT_SUPPORTED"),
    "UntrustedDocument": (403, "DOCUMENT_NOT_TRUSTED"),
    "UpstreamError": (502, "UPSTREAM_ERROR"),
    "NotConfigured": (503, "NOT_CONFIGURED"),
    "Unavailable": (503, "UNAVAILABLE"),
}
"""The table of the contract."""

CLASSES = [kind for kind in iter_error_classes(Refused) if kind is not Refused]


def test_the_hierarchy_is_the_contracts():
    """Each class one status and one code."""
    assert {kind.__name__: (kind.status, kind.code) for kind in CLASSES} == DESIGN
    assert (Refused.status, Refused.code, Refused.default_message) == (500, "INTERNAL_ERROR", "Internal server error")


def test_the_hierarchy_is_drawn_where_it_is_declared():
    """Every class has its line in the module's docstring."""
    drawn = dict(re.findall(r"[├└]── (\w+) +(\d{3})", errors.__doc__))
    assert {name: int(status) for name, status in drawn.items()} == {
        name: status for name, (status, _) in DESIGN.items()
    }


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_both_renderers_say_every_refusal_in_the_same_words(kind):
    """Message, code, status, details and the request's id."""
    refusal = kind(7) if kind is RateLimited else kind("In words", {"field": ["what is wrong"]})
    rest, graphql = rest_body(refusal, "id-1"), graphql_body(refusal, "id-1")
    assert rest == {"error": refusal.message, "code": kind.code, "details": refusal.details, "requestId": "id-1"}
    extensions = {"code": kind.code, "status": kind.status, "details": refusal.details, "requestId": "id-1"}
    assert graphql == {"errors": [{"message": refusal.message, "extensions": extensions}]}


SAME = [
    ("create", [], {"title": "", "content": CONTENT}),
    ("create", [], {"title": "x" * 101, "content": "short"}),
    ("create", [], {"title": "Fine", "content": CONTENT, "excerpt": "x" * 301}),
    ("create", [], {"title": "Fine", "content": "x" * 100_001}),
    ("create", [], {"title": "Fine", "content": CONTENT, "categoryId": UNKNOWN_ID}),
    ("create", [], {"title": "Fine", "content": CONTENT, "categoryId": "rubbish"}),
    ("create", [], {"title": "Fine", "content": CONTENT, "tags": ["", "x" * 51]}),
    ("create", [], {"title": "Fine", "content": CONTENT, "tags": [f"tag {n}" for n in range(21)]}),
    ("update", [UNKNOWN_ID], {"title": "Nothing there"}),
    ("update", [UNKNOWN_ID], {"title": ""}),
    ("delete", ["rubbish"], {}),
    ("page", [], {"page": 0}),
    ("page", [], {"limit": 101}),
    ("page", [], {"limit": -1, "page": -1}),
]


@pytest.mark.parametrize(("action", "arguments", "input"), SAME, ids=str)
async def test_what_one_protocol_refuses_the_other_refuses_in_the_same_words(
    graphql, rest, author, action, arguments, input
):
    """Code, message and details."""
    refusals = [await getattr(api, action)(author, *arguments, **input) for api in (graphql, rest)]
    assert isinstance(refusals[0], ErrorResponse)
    assert refusals[0] == refusals[1]


async def test_accounts_are_refused_in_the_same_words(graphql, rest):
    """Wrong registrations and wrong credentials."""
    for action, input in [
        ("register", {"name": "", "email": "rubbish", "password": "short"}),
        ("login", {"email": "nobody@example.com", "password": "no password"}),
    ]:
        refusals = [await getattr(api, action)(**input) for api in (graphql, rest)]
        assert isinstance(refusals[0], ErrorResponse)
        assert refusals[0] == refusals[1]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/nothing", 404, "NOT_FOUND"),
        ("GET", "/nothing", 404, "NOT_FOUND"),
        ("GET", f"/api/posts/{UNKNOWN_ID}", 404, "NOT_FOUND"),
        ("GET", "/api/posts/rubbish", 404, "NOT_FOUND"),
        ("GET", "/api/posts/%00", 404, "NOT_FOUND"),
        ("GET", "/api/posts/%ff", 404, "NOT_FOUND"),
        ("PUT", "/api/posts", 405, "METHOD_NOT_ALLOWED"),
        ("POST", f"/api/posts/{UNKNOWN_ID}", 405, "METHOD_NOT_ALLOWED"),
        ("DELETE", "/api/auth/me", 405, "METHOD_NOT_ALLOWED"),
        ("PATCH", "/api/health", 405, "METHOD_NOT_ALLOWED"),
    ],
)
async def test_rest_refuses_in_its_form_what_there_is_not(server, method, path, status, code):
    """JSON, with a code and the request's id."""
    reply = await server.anonymous.request(method, path)
    output = reply.json()
    assert (reply.status_code, output["code"], reply.headers["Content-Type"]) == (status, code, "application/json")
    assert output["requestId"] == reply.headers["X-Request-ID"]
    assert reply.headers["Cache-Control"] == "no-store"  # what is hidden now may be shown a moment later
    if status == 405:
        assert reply.headers["Allow"]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_graphql_refuses_other_methods_in_its_form(server, method):
    """405, with what is allowed."""
    reply = await server.anonymous.request(method, "/graphql")
    assert (reply.status_code, reply.headers["Cache-Control"]) == (405, "no-store")
    assert reply.json()["errors"][0]["extensions"]["code"] == "METHOD_NOT_ALLOWED"
    assert {"GET", "POST"} <= {name.strip() for name in reply.headers["Allow"].split(",")}


async def test_a_request_keeps_the_id_it_came_with(server):
    """Where it can be logged as it is; else it gets one of ours."""
    kept = await server.anonymous.get("/api/nothing", headers={"X-Request-ID": "trace-42"})
    assert (kept.headers["X-Request-ID"], kept.json()["requestId"]) == ("trace-42", "trace-42")
    for rubbish in ("with space", "x" * 1000, "<script>"):
        fresh = await server.anonymous.get("/api/nothing", headers={"X-Request-ID": rubbish})
        assert re.fullmatch(r"[0-9a-f-]{32,36}", fresh.headers["X-Request-ID"])


async def test_every_error_of_a_graphql_answer_has_code_status_and_id(server, stranger):
    """Several root fields, each refused by itself, with its path."""
    query = f"""mutation {{ a: likePost(id: "{UNKNOWN_ID}") {{ id }} }}"""
    reply = await server.anonymous.post("/graphql", json={"query": query}, headers=stranger.headers)
    (error,) = reply.json()["errors"]
    assert error == {
        "message": "Post not found",
        "path": ["a"],
        "locations": [{"line": 1, "column": 12}],
        "extensions": {"code": "NOT_FOUND", "status": 404, "requestId": reply.headers["X-Request-ID"]},
    }


async def test_one_refused_root_field_leaves_the_others_their_answers(graphql, published):
    """Where it may be null."""
    document = """query($id: ID!) { post(id: $id) { title } categories { name }
        user(id: $id) { posts(first: 0) { totalCount } } }"""
    response = await graphql.send(document, id=published["id"])
    reply = response.json()
    assert reply["data"] == {"post": {"title": published["title"]}, "categories": [], "user": None} or (
        reply.get("data") is None
    )
    assert reply["errors"][0]["extensions"]["code"] == "VALIDATION_ERROR"


@pytest.mark.parametrize(
    "query",
    [
        "",
        "{",
        "{ nothing }",
        "query A { viewer { id } } query B { viewer { id } }",
        "{ post(id: 1.5) { id } }",
    ],
)
async def test_a_document_that_is_wrong_is_a_validation_error(server, query):
    """400 for clients of the new media type, 200 for those of the old; nothing is executed."""
    for accept, statuses in (("application/graphql-response+json", {400}), ("application/json", {200, 400})):
        reply = await server.anonymous.post("/graphql", json={"query": query}, headers={"Accept": accept})
        assert reply.status_code in statuses
        output = orjson.loads(reply.content)
        assert "data" not in output
        assert {error["extensions"]["code"] for error in output["errors"]} == {"VALIDATION_ERROR"}
        assert all(error["extensions"]["status"] == 400 for error in output["errors"])


def test_readers_of_answers_take_a_fault_for_a_fault():
    """The callers of these tests never mistake a 500 for a refusal."""
    import httpx

    broken = httpx.Response(500, json={"error": "Internal server error", "code": "INTERNAL_ERROR"})
    for read in (graphql_result, rest_result):
        with pytest.raises(AssertionError):
            read(broken)
