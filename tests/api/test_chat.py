"""Whom `POST /api/chat` answers, and which conversations it refuses before a model hears of them."""

import json
from typing import Any

import pytest

from tests.support.accounts import bearer
from tests.support.servers import Server

HELLO = {"role": "user", "content": "Hello"}


def saying(**changes: Any) -> bytes:
    return json.dumps({"messages": [{**HELLO, **changes}]}).encode()


def said(messages: Any) -> bytes:
    return json.dumps({"messages": messages}).encode()


ASIDE: dict[str, tuple[bytes, list[str]]] = {
    "nothing": (b"", ["body"]),
    "only spaces": (b"  ", ["body"]),
    "null": (b"null", ["body"]),
    "a text": (b'"Hello"', ["body"]),
    "a number": (b"7", ["body"]),
    "a list": (b'[{"role": "user", "content": "Hello"}]', ["body"]),
    "no JSON": (b"messages=Hello", ["body"]),
    "half of it": (b'{"messages": [', ["body"]),
    "more after it": (said([HELLO]) + b"{}", ["body"]),
    "invalid UTF-8": (b'{"messages": [{"role": "user", "content": "\xff"}]}', ["body"]),
    "UTF-16": (json.dumps({"messages": [HELLO]}).encode("utf-16"), ["body"]),
    "a lone surrogate": (rb'{"messages": [{"role": "user", "content": "\ud800"}]}', ["body"]),
    "NaN": (b'{"messages": NaN}', ["body"]),
    "brackets without end": (b"[" * 100_000, ["body"]),
    "an empty object": (b"{}", ["messages"]),
    "another name": (b'{"prompt": "Hello"}', ["messages", "prompt"]),
    "a name in capitals": (b'{"Messages": []}', ["messages", "Messages"]),
    "messages that are null": (said(None), ["messages"]),
    "messages that are a text": (said("Hello"), ["messages"]),
    "messages that are a number": (said(7), ["messages"]),
    "messages that are an object": (said({"0": HELLO}), ["messages"]),
    "messages that are true": (said(True), ["messages"]),
    "no messages": (said([]), ["messages"]),
    "51 messages": (said([HELLO] * 51), ["messages"]),
    "a model of the client's": (b'{"messages": [{"role": "user", "content": "Hi"}], "model": "large"}', ["model"]),
    "a stream": (b'{"messages": [{"role": "user", "content": "Hi"}], "stream": true}', ["stream"]),
    "tools": (b'{"messages": [{"role": "user", "content": "Hi"}], "tools": []}', ["tools"]),
    "a temperature": (b'{"messages": [{"role": "user", "content": "Hi"}], "temperature": 2}', ["temperature"]),
    "a key": (b'{"messages": [{"role": "user", "content": "Hi"}], "api_key": "x"}', ["api_key"]),
    "a message that is a text": (said(["Hello"]), ["messages.0"]),
    "a message that is null": (said([HELLO, None]), ["messages.1"]),
    "a message that is a list": (said([["user", "Hello"]]), ["messages.0"]),
    "an empty message": (said([{}]), ["messages.0.role", "messages.0.content"]),
    "no role": (said([{"content": "Hello"}]), ["messages.0.role"]),
    "no content": (said([HELLO, {"role": "user"}]), ["messages.1.content"]),
    "a role that is none": (saying(role="robot"), ["messages.0.role"]),
    "a tool's role": (saying(role="tool"), ["messages.0.role"]),
    "a developer's role": (saying(role="developer"), ["messages.0.role"]),
    "a role in capitals": (saying(role="User"), ["messages.0.role"]),
    "a role with a space": (saying(role="user "), ["messages.0.role"]),
    "an empty role": (saying(role=""), ["messages.0.role"]),
    "a role that is null": (saying(role=None), ["messages.0.role"]),
    "a role that is a number": (saying(role=1), ["messages.0.role"]),
    "a role that is a list": (saying(role=["user"]), ["messages.0.role"]),
    "empty content": (saying(content=""), ["messages.0.content"]),
    "content that is null": (saying(content=None), ["messages.0.content"]),
    "content that is a number": (saying(content=7), ["messages.0.content"]),
    "content that is true": (saying(content=True), ["messages.0.content"]),
    "content in parts": (saying(content=[{"type": "text", "text": "Hello"}]), ["messages.0.content"]),
    "content with U+0000": (saying(content="a\0b"), ["messages.0.content"]),
    "a name": (saying(name="Ann"), ["messages.0.name"]),
    "a tool's call": (saying(tool_calls=[]), ["messages.0.tool_calls"]),
    "32,001 characters": (saying(content="x" * 32_001), ["messages.0.content"]),
    "32,001 characters in all": (
        said([{**HELLO, "content": "x" * 16_000}] * 2 + [{**HELLO, "content": "x"}]),
        ["messages"],
    ),
}


@pytest.fixture
async def on_sqlite(sqlite_url: str, servers: Any) -> Server:
    """What is wrong with a conversation does not depend on the database."""
    return await servers.on(sqlite_url)


async def test_conversations_that_cannot_be_are_refused(on_sqlite: Server) -> None:
    """Fifty and more, each with the names of what is wrong."""
    account = await on_sqlite.account()
    headers = {**account.headers, "Content-Type": "application/json"}
    assert len(ASIDE) >= 50
    for name, (body, fields) in ASIDE.items():
        response = await on_sqlite.anonymous.post("/api/chat", content=body, headers=headers)
        result = response.json()
        assert (name, response.status_code, result["code"]) == (name, 400, "VALIDATION_ERROR")
        assert (name, sorted(result["details"])) == (name, sorted(fields))


async def test_the_largest_conversations_are_taken(on_sqlite: Server) -> None:
    """Characters are counted, not bytes; here there is no model to answer them."""
    account = await on_sqlite.account()
    for messages in ([HELLO] * 50, [{**HELLO, "content": "𝄞" * 32_000}], [{**HELLO, "content": "x" * 640}] * 50):
        response = await on_sqlite.anonymous.post("/api/chat", json={"messages": messages}, headers=account.headers)
        result = response.json()
        assert (response.status_code, result["code"]) == (503, "NOT_CONFIGURED")
        assert result["error"] == "Chat is not configured here"


@pytest.mark.parametrize(
    ("method", "content_type", "status"),
    [
        ("POST", "text/plain", 415),
        ("POST", "multipart/form-data; boundary=x", 415),
        ("POST", "application/x-www-form-urlencoded", 415),
        ("GET", "application/json", 405),
        ("HEAD", "application/json", 405),
        ("OPTIONS", "application/json", 405),
        ("PUT", "application/json", 405),
        ("DELETE", "application/json", 405),
    ],
)
async def test_nothing_but_posted_json_is_taken(on_sqlite: Server, method: str, content_type: str, status: int) -> None:
    """The answer to another method names the one there is."""
    headers = {**(await on_sqlite.account()).headers, "Content-Type": content_type}
    response = await on_sqlite.anonymous.request(method, "/api/chat", content=said([HELLO]), headers=headers)
    assert (response.status_code, response.headers.get("allow")) == (status, "POST" if status == 405 else None)


async def test_strangers_are_refused_whatever_they_send(server: Server) -> None:
    """Before anybody looks at it, on either database; a token that is none is refused too."""
    stale = {"Cookie": "dovetail_session=nonsense", "Origin": "http://gateway.test"}
    for headers in ({}, {"Authorization": "Bearer nonsense"}, stale):
        for body in (said([HELLO]), b"{", b"{}"):
            headers = {**headers, "Content-Type": "application/json"}
            response = await server.anonymous.post("/api/chat", content=body, headers=headers)
            assert (response.status_code, response.json()["code"]) == (401, "UNAUTHORIZED")


async def test_a_cookie_counts_only_from_our_own_pages(server: Server) -> None:
    """A page elsewhere must not spend its visitors' tokens."""
    account = await server.account()
    headers = {"Cookie": f"dovetail_session={account.access_token}", "Origin": "https://elsewhere.example"}
    response = await server.anonymous.post("/api/chat", json={"messages": [HELLO]}, headers=headers)
    assert (response.status_code, response.json()["code"]) == (403, "FORBIDDEN")
    headers["Origin"] = "http://gateway.test"
    response = await server.anonymous.post("/api/chat", json={"messages": [HELLO]}, headers=headers)
    assert (response.status_code, response.json()["code"]) == (503, "NOT_CONFIGURED")


async def test_questions_count_in_the_limit_for_what_is_expensive(make_server: Any) -> None:
    """Those that are refused, too."""
    server = await make_server(rate_limit_expensive="2/hour", rate_limit_api="1/hour")
    account = await server.account()
    responses = [
        await server.anonymous.post("/api/chat", json=body, headers=bearer(account))
        for body in ({}, {"messages": [HELLO]}, {"messages": [HELLO]})
    ]
    assert [response.status_code for response in responses] == [400, 503, 429]
    assert [response.headers["x-ratelimit-remaining"] for response in responses] == ["1", "0", "0"]
    assert responses[-1].json()["code"] == "RATE_LIMITED"
