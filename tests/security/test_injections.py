"""Text that hopes to be taken for something else: SQL, a header, a line of the log, a path."""

import json

import pytest

from gateway.observability.logging import ConsoleFormatter, JsonFormatter
from tests.api.test_requests import Lines, lines
from tests.support.servers import Server
from tests.support.writing import CONTENT

pytestmark = pytest.mark.anyio
__all__ = ["lines"]

SQL = [
    "' or '1'='1",
    "'; drop table posts; --",
    '" or 1=1 --',
    "%' union select 1 from users --",
    "\\'; --",
]
TEXTS = {
    "right to left": "\u202egnp.exe",
    "combining without end": "e" + "\u0301" * 60,
    "beyond the plane": "\U0001f9d1\u200d\U0001f4bb\U000e0041",
    "no character": "\ufffe\uffff",
    "spaces that are none": "\u200b\u2060\ufeff.",
    "an escape of a terminal": "\x1b[2J\x07",
    "a template": "{{7*7}} ${7*7} <%= 7*7 %> %(x)s {0}",
    "markup": "<script>alert(1)</script>",
}
OUTSIDE = [
    "/uploads/../../etc/passwd",
    "/uploads/..%2f..%2fetc%2fpasswd",
    "/uploads/%2e%2e/%2e%2e/gateway.db",
    "/uploads/..%5c..%5cwindows",
    "/uploads//etc/passwd",
    "/uploads/%00",
    "/static/../settings.py",
    "/static/..%2f..%2fsettings.py",
]


@pytest.mark.parametrize("text", SQL)
async def test_sql_is_text(server: Server, author, text: str) -> None:
    """Whatever it stands in, it finds what holds that text, or nothing; and the tables are there afterwards."""
    made = await server.anonymous.post(
        "/api/posts", json={"title": text, "content": CONTENT, "status": "PUBLISHED"}, headers=author.headers
    )
    assert made.json()["data"]["title"] == text
    found = (await server.anonymous.get("/api/posts", params={"q": text})).json()
    assert [post["title"] for post in found["data"]] == [text]
    query = "query($t: String, $i: ID!) { posts(filter: {q: $t}) { nodes { title } } tag: posts(filter: {tag: $t})"
    document = f"{query} {{ totalCount }} post(slug: $t) {{ id }} node(id: $i) {{ id }} }}"
    request = await server.anonymous.post("/graphql", json={"query": document, "variables": {"t": text, "i": text}})
    assert request.json()["data"] == {
        "posts": {"nodes": [{"title": text}]}, "tag": {"totalCount": 0}, "post": None, "node": None,
    }  # fmt: skip
    for path in (f"/api/posts/{text}", f"/api/posts?status={text}", f"/api/events?since={text}"):
        assert (await server.anonymous.get(path)).status_code in (400, 404)


@pytest.mark.parametrize("name", TEXTS)
async def test_text_is_kept_as_it_was_or_refused(api, author, name: str) -> None:
    """Never changed into something else, and never a fault."""
    content = f"{TEXTS[name]} and so on, long enough"
    made = await api.create(author, title="A post", content=content)
    if isinstance(made, dict):
        assert made["content"] == content
    else:
        assert made.code == "VALIDATION_ERROR"


async def test_no_text_adds_a_header(server: Server, author, lines: Lines) -> None:
    """Neither an id of a request, nor a title, nor an address that is asked for."""
    evil = "x\r\nSet-Cookie: evil=1"
    post = {"title": "A post Set-Cookie: evil=1", "content": CONTENT + evil}
    responses = [
        await server.anonymous.get("/api/posts", headers={"X-Request-ID": evil.encode()}),
        await server.anonymous.get("/api/posts/%0d%0aSet-Cookie:%20evil=1"),
        await server.anonymous.post("/api/posts", json=post, headers=author.headers),
    ]
    for response in responses:
        assert "evil" not in str([pair for pair in response.headers.raw if pair[0].lower() == b"set-cookie"])
        assert not {"\r", "\n"} & set("".join(response.headers.values()))


async def test_no_text_makes_a_line_of_the_log(server: Server, lines: Lines) -> None:
    """A name of an operation, a path and an id stay within theirs."""
    forged = "x\n2026 INFO forged"
    await server.anonymous.post("/graphql", json={"query": "{ __typename }", "operationName": forged})
    await server.anonymous.get("/api/x%0a2026%20INFO%20forged%1b[31m", headers={"X-Request-ID": forged.encode()})
    for record in lines.records:
        assert len(ConsoleFormatter().format(record).splitlines()) == 1
        assert "\x1b" not in ConsoleFormatter().format(record)
        assert json.loads(JsonFormatter().format(record))["message"] == "request"


@pytest.mark.parametrize("path", OUTSIDE)
async def test_no_path_leaves_its_folder(server: Server, path: str) -> None:
    """Nor does it say what is there."""
    response = await server.anonymous.get(path)
    assert response.status_code in (400, 404, 405)
    assert "root:" not in response.text


@pytest.mark.parametrize("header", ["Content-Disposition: form-data\rx: y", "Content-\x00: x", ": x"])
async def test_no_form_makes_a_line_of_the_log(server: Server, author, header: str, caplog) -> None:
    """Its parser would say which byte it did not like, in a line that is no JSON."""
    body = f"--b\r\n{header}\r\n\r\nx\r\n--b--\r\n".encode()
    headers = {**author.headers, "Content-Type": "multipart/form-data; boundary=b"}
    response = await server.anonymous.post("/api/upload", content=body, headers=headers)
    assert (response.status_code, response.json()["code"]) == (400, "VALIDATION_ERROR")
    assert [record.name for record in caplog.records if record.name.startswith("python_multipart")] == []
