"""GraphQL over HTTP: methods, media types, and bodies of every wrong kind."""

import json
from typing import Any

import pytest

from tests.support.servers import Server

pytestmark = pytest.mark.anyio

JSON, RESPONSE = "application/json", "application/graphql-response+json"
QUERY = {"query": "{ __typename }"}
DATA = {"data": {"__typename": "Query"}}

WRONG_BODIES = [
    b"",
    b"{",
    b"null",
    b'"text"',
    b"[]",
    b'[{"query":"{__typename}"}]',
    b"{}",
    b'{"query": 1}',
    b'{"query": " "}',
    b'{"query": "{"}',
    b'{"query": "{ nowhere }"}',
    b'{"query": "{__typename}", "variables": []}',
    b'{"query": "{__typename}", "variables": "{}"}',
    b'{"query": "{__typename}", "operationName": 5}',
    b'{"query": "{__typename}", "operationName": "Other"}',
    b'{"query": "{__typename}", "extensions": 5}',
    b'{"query": "{__typename}", "variables": {"a": NaN}}',
    b'{"query": "{__typename}", "variables": {"a": 1e999}}',
    b'{"query": "{__typename}", "variables": {"a": "\\ud800"}}',
    b'{"query": "{__typename} \xff"}',
    b'{"query": "{posts(filter: {q: \\"\\u0000\\"}) {totalCount}}"}',
    b'{"query": "{posts(filter: {q: \\"\\\\u0000\\"}) {totalCount}}"}',
    b'{"query": "query ($n: Int) {posts(first: $n) {totalCount}}", "variables": {"n": 9223372036854775808}}',
    b"[" * 100_000,
    json.dumps({"query": "{" + "a{" * 5000}).encode(),
]


async def post(server: Server, body: bytes | None = None, **headers: str) -> Any:
    content = json.dumps(QUERY).encode() if body is None else body
    return await server.anonymous.post("/graphql", content=content, headers={"Content-Type": JSON} | headers)


@pytest.mark.parametrize("body", WRONG_BODIES, ids=lambda body: body[:60].decode("latin-1"))
async def test_a_wrong_request_is_400_in_the_form_of_graphql(server: Server, body: bytes) -> None:
    """Nothing is executed, so there is no data; the error has its code, its status and the request's id."""
    response = await post(server, body)
    assert (response.status_code, response.headers["Content-Type"]) == (400, JSON)
    reply = response.json()
    assert list(reply) == ["errors"]
    expected = {"code": "VALIDATION_ERROR", "status": 400, "requestId": response.headers["X-Request-ID"]}
    for error in reply["errors"]:
        assert error["extensions"].items() >= expected.items()


async def test_parameters_that_nobody_knows_are_ignored(server: Server) -> None:
    """And null is as good as absent."""
    body = {**QUERY, "variables": None, "operationName": None, "extensions": None, "later": 1}
    assert (await post(server, json.dumps(body).encode())).json() == DATA


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [(None, JSON), ("*/*", JSON), (RESPONSE, RESPONSE), (f"{RESPONSE}, {JSON};q=0.9", RESPONSE)],
)
@pytest.mark.parametrize(("query", "status"), [("{ __typename }", 200), ("{ nowhere }", 400)])
async def test_the_media_type_is_the_clients_choice(
    server: Server, accept: str | None, content_type: str, query: str, status: int
) -> None:
    """Errors have it too."""
    body = json.dumps({"query": query}).encode()
    response = await post(server, body, **({"Accept": accept} if accept else {}))
    assert (response.status_code, response.headers["Content-Type"]) == (status, content_type)


@pytest.mark.parametrize("query", ["{", "{ nowhere }", "query ($id: ID!) { node(id: $id) { id } }"])
async def test_clients_from_before_the_media_type_are_told_in_a_200(server: Server, query: str) -> None:
    """As the audits of graphql-http ask. What is no GraphQL request at all is a 400 for them too."""
    for accept in (JSON, f"{JSON}, text/plain, */*"):
        response = await post(server, json.dumps({"query": query}).encode(), Accept=accept)
        assert (response.status_code, response.headers["Content-Type"]) == (200, JSON)
        assert list(response.json()) == ["errors"]
        assert response.json()["errors"][0]["extensions"]["status"] == 400
        assert (await post(server, b"{}", Accept=accept)).status_code == 400


@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "text/plain", "application/graphql"],
)
async def test_bodies_that_browsers_send_unasked_are_415(server: Server, content_type: str) -> None:
    """GraphQL multipart requests among them: files go to `POST /api/upload`."""
    body = (
        b'--x\r\nContent-Disposition: form-data; name="operations"\r\n\r\n{"query": "{ __typename }"}\r\n'
        b'--x\r\nContent-Disposition: form-data; name="map"\r\n\r\n{}\r\n--x--\r\n'
    )
    response = await post(server, body, **{"Content-Type": content_type, "GraphQL-Require-Preflight": "1"})
    assert response.status_code == 415
    assert response.json()["errors"][0]["extensions"]["code"] == "UNSUPPORTED_MEDIA_TYPE"


async def test_what_cannot_be_given_is_406(server: Server) -> None:
    """A client that accepts neither of ours."""
    response = await post(server, Accept="image/png")
    assert response.status_code == 406
    assert response.json()["errors"][0]["extensions"]["code"] == "NOT_ACCEPTABLE"


@pytest.mark.parametrize("directive", ["defer", "stream"])
async def test_answers_come_whole(server: Server, directive: str) -> None:
    """One statement answers all of a document, so there is nothing to come later: its directives are unknown here."""
    query = {"defer": "{ ... @defer { viewer { id } } }", "stream": "{ posts { nodes @stream { id } } }"}[directive]
    incremental = "multipart/mixed; deferSpec=20220824, application/json"
    for accept in (RESPONSE, incremental):
        response = await post(server, json.dumps({"query": query}).encode(), Accept=accept)
        assert response.status_code == 400
        assert response.json()["errors"][0]["message"] == f"Unknown directive '@{directive}'."


async def test_an_error_beside_data_is_200(server: Server) -> None:
    """The request was executed, whatever came of it."""
    response = await post(server, b'{"query": "mutation {a: likePost(id: \\"x\\") {id}}"}')
    reply = response.json()
    assert response.status_code == 200
    assert reply["data"] is None
    assert reply["errors"][0]["extensions"]["status"] == 401


async def test_get_asks_queries_only(server: Server) -> None:
    """With the parameters in the query string, variables as JSON."""
    http = server.anonymous
    query = "query A($id: ID!) { node(id: $id) { id } } query B { __typename }"
    requests = {"query": query, "variables": '{"id": "x"}', "operationName": "A", "extensions": "{}"}
    assert (await http.get("/graphql", params=requests)).json() == {"data": {"node": None}}
    empty = {"query": "{ __typename }", "variables": "", "operationName": "", "extensions": ""}
    assert (await http.get("/graphql", params=empty)).json() == DATA
    mutation = await http.get("/graphql", params={"query": 'mutation { deletePost(id: "x") }'})
    assert (mutation.status_code, mutation.headers["Allow"]) == (405, "POST")
    for wrong in ("query={__typename}&variables=x", "query={__typename}&variables=[]", "query=%ff", "", "variables={}"):
        assert (await http.get(f"/graphql?{wrong}")).status_code == 400


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_other_methods_are_405(server: Server, method: str) -> None:
    """And the answer says which there are."""
    response = await server.anonymous.request(method, "/graphql")
    assert (response.status_code, response.headers["Allow"]) == (405, "GET, HEAD, POST")
    assert response.json()["errors"][0]["extensions"]["code"] == "METHOD_NOT_ALLOWED"


async def test_browsers_get_graphiql_in_development(server: Server, make_server) -> None:
    """In production the same address asks for a query."""
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    page = await server.anonymous.get("/graphql", headers=browser)
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    production = await make_server(environment="production")
    assert (await production.anonymous.get("/graphql", headers=browser)).status_code == 400


async def test_production_tells_nobody_its_schema(make_server) -> None:
    """Neither by introspection nor by suggestions."""
    server = await make_server(environment="production")
    introspection = await post(server, b'{"query": "{ __schema { queryType { name } } }"}')
    assert introspection.status_code == 400
    suggestion = await post(server, b'{"query": "{ pots { id } }"}')
    assert "Did you mean" not in suggestion.text


async def test_the_limits_of_a_document_are_settings(make_server) -> None:
    """Each is told in the form of a request error."""
    server = await make_server(
        graphql_max_depth=2, graphql_max_aliases=1, graphql_max_root_fields=2, graphql_max_tokens=20
    )
    for query in (
        "{ posts { nodes { id } } }",
        "{ a: __typename b: __typename }",
        "{ viewer { id } categories { id } tags { id } }",
        "{ viewer { id id id id id id id id id id id id id id id id id id } }",
    ):
        response = await post(server, json.dumps({"query": query}).encode())
        assert (query, response.status_code) == (query, 400)
