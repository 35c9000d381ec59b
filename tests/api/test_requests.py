"""What surrounds every request: its id, its line in the log, its size, its headers."""

import json
import logging
import re
from collections.abc import Iterator

import pytest

from gateway.observability.logging import ConsoleFormatter, JsonFormatter
from tests.support.accounts import Account
from tests.support.servers import Server

pytestmark = pytest.mark.anyio

MEBIBYTE = 1024 * 1024
PATHS = ["/api/posts", "/api/posts/nonsense", "/graphql", "/nowhere", "/docs", "/api/health/live"]


class Lines(logging.Handler):
    """Keeps what was logged."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    @property
    def last(self) -> dict:
        return json.loads(JsonFormatter().format(self.records[-1]))


@pytest.fixture
def lines(server: Server) -> Iterator[Lines]:
    handler = Lines()
    logging.getLogger("gateway").addHandler(handler)
    yield handler
    logging.getLogger("gateway").removeHandler(handler)


@pytest.mark.parametrize("path", PATHS)
async def test_every_answer_has_an_id_and_is_safe_in_a_browser(server: Server, path: str) -> None:
    """Whatever it answers."""
    headers = (await server.anonymous.get(path)).headers
    assert re.fullmatch(r"[0-9a-f]{32}", headers["X-Request-ID"])
    assert headers.get_list("X-Content-Type-Options") == ["nosniff"]
    assert len(headers.get_list("X-Frame-Options")) == 1
    assert len(headers.get_list("Referrer-Policy")) == 1


@pytest.mark.parametrize(
    ("given", "kept"),
    [("trace-1/2:3", True), ("x" * 128, True), ("x" * 129, False), ("", False), ("a b", False), ("a\u00e9", False)],
)
async def test_a_callers_own_id_is_kept_where_it_is_sane(server: Server, given: str, kept: bool) -> None:
    """So that traces join; what would spoil a log is replaced."""
    response = await server.anonymous.get("/api/posts/x", headers={"X-Request-ID": given.encode("latin-1")})
    assert (response.headers["X-Request-ID"] == given) is kept
    assert response.json()["requestId"] == response.headers["X-Request-ID"]


async def test_one_line_a_request(server: Server, author: Account, lines: Lines) -> None:
    """With the operation's name and the viewer, and without secrets."""
    secret = "dont-log-me"
    body = {"query": "query Front($t: String) { viewer { id } tags { id } __typename @skip(if: false) }"}
    await server.anonymous.post(f"/graphql?token={secret}", json=body, headers=author.headers)
    (record,) = lines.records
    text = JsonFormatter().format(record)
    assert author.access_token not in text
    assert secret not in text
    line = json.loads(text)
    assert line["ms"] > 0
    expected = {"method": "POST", "path": "/graphql", "status": 400, "viewer": author.id, "operation": None}
    assert {name: line.get(name) for name in expected} == expected


async def test_the_log_names_the_operation(server: Server, lines: Lines) -> None:
    """GraphQL has one path for everything."""
    await server.anonymous.post("/graphql", json={"query": "query FrontPage { viewer { id } }"})
    assert (lines.last["operation"], lines.last["status"]) == ("FrontPage", 200)


LONG = "A" * 400_000


@pytest.mark.parametrize("wish", [{}, {"GraphQL-Cost": "validate"}])
@pytest.mark.parametrize("selection", ["viewer { id }", "__schema { __typename }", "nothing", "viewer { nothing }"])
async def test_no_name_fills_the_log(server: Server, lines: Lines, selection: str, wish: dict[str, str]) -> None:
    """A line has the beginning of one that is nearly as long as a body may be."""
    body = {"query": f"query {LONG} {{ {selection} }}", "operationName": LONG}
    await server.anonymous.post("/graphql", json=body, headers=wish)
    assert lines.last["operation"] == "A" * 100


async def test_no_path_breaks_the_log(server: Server, lines: Lines) -> None:
    """Neither a new line nor an escape sequence survives in either form of it."""
    await server.anonymous.get("/api/%0d%0aGET%20/forged%1b[2J%E2%80%A8")
    (record,) = lines.records
    for form in (JsonFormatter(), ConsoleFormatter()):
        text = form.format(record)
        assert not {"\r", "\n", "\x1b"} & set(text)
    assert "\u2028" not in ConsoleFormatter().format(record)


@pytest.mark.parametrize("path", ["/api/posts", "/graphql", "/api/auth/login"])
@pytest.mark.parametrize("chunked", [False, True])
async def test_large_bodies_are_refused(server: Server, author: Account, path: str, chunked: bool) -> None:
    """Whether their length is announced or not, in the form of each protocol. Strangers' writes are not read at all."""
    body = b'"' + b"x" * MEBIBYTE + b'"'

    async def pieces():
        for start in range(0, len(body), 65536):
            yield body[start : start + 65536]

    content = pieces() if chunked else body
    headers = {"Content-Type": "application/json"} | (author.headers if chunked else {})
    response = await server.anonymous.post(path, content=content, headers=headers)
    assert response.status_code == 413
    assert "PAYLOAD_TOO_LARGE" in response.text
    assert ("errors" in response.json()) is (path == "/graphql")


@pytest.mark.parametrize("path", ["/api/posts", "/api/health", "/docs", "/graphql?query={__typename}"])
async def test_head_is_get_without_the_body(server: Server, path: str) -> None:
    """The same status and headers."""
    get, head = await server.anonymous.get(path), await server.anonymous.head(path)
    assert (head.status_code, head.content) == (get.status_code, b"")
    assert head.headers["Content-Type"] == get.headers["Content-Type"]


async def test_what_nobody_foresaw_is_a_500_that_says_nothing(
    server: Server, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log has the cause, under the id that the client was told."""

    async def broken(*given: object) -> None:
        raise RuntimeError("the secret cause")

    monkeypatch.setattr(server.app.state.gateway.engine, "execute_static", broken)
    response = await server.anonymous.get("/api/posts")
    request_id = response.headers["X-Request-ID"]
    assert response.status_code == 500
    assert response.json() == {"error": "Internal server error", "code": "INTERNAL_ERROR", "requestId": request_id}
    assert "the secret cause" in ConsoleFormatter().format(lines.records[0])
    assert request_id in lines.records[0].getMessage()


@pytest.mark.parametrize(
    ("path", "allowed"),
    [("/api/posts", "GET, HEAD, POST"), ("/api/posts/x", "DELETE, GET, HEAD, PATCH, PUT"), ("/api/auth/login", "POST")],
)
async def test_405_names_every_method_that_there_is(server: Server, path: str, allowed: str) -> None:
    """Not only those of the first route."""
    response = await server.anonymous.request("TRACE", path)
    assert (response.status_code, response.headers["Allow"]) == (405, allowed)
    assert response.json()["code"] == "METHOD_NOT_ALLOWED"


async def test_preflights_are_answered_for_trusted_origins(make_server) -> None:
    """With credentials, and whatever headers a page wants to send."""
    server = await make_server(cors_origins="https://app.example")
    requests = {
        "Origin": "https://app.example",
        "Access-Control-Request-Method": "PATCH",
        "Access-Control-Request-Headers": "authorization,if-match",
    }
    reply = await server.anonymous.options("/api/posts/x", headers=requests)
    assert reply.status_code == 200
    assert reply.headers["Access-Control-Allow-Origin"] == "https://app.example"
    rejected = await server.anonymous.options("/api/posts/x", headers=requests | {"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in rejected.headers
