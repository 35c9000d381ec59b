"""Responses that are written in one piece equal those that go through every middleware as ASGI messages."""

from collections.abc import AsyncIterator

import pytest

from tests.support.live_server import LiveServer, open_live_server
from tests.support.raw_http import (
    TYPENAME_QUERY,
    TYPENAME_RESULT,
    RawResponse,
    exchange,
    format_request,
    get,
    parse_responses,
    post_graphql,
)

pytestmark = pytest.mark.anyio

CLOSE = b"Connection: close"
VARYING_HEADERS = ("date", "ratelimit", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
"""Headers whose values differ between two equal responses."""


@pytest.fixture
async def live(sqlite_url: str) -> AsyncIterator[LiveServer]:
    async with open_live_server(sqlite_url) as server:
        yield server


def without_varying_headers(response: RawResponse) -> RawResponse:
    kept = {name: value for name, value in response.headers.items() if name.decode() not in VARYING_HEADERS}
    return response._replace(headers=kept)


@pytest.mark.parametrize(
    "request_with",
    [post_graphql, lambda *headers: get(b"/api/posts", *headers), lambda *headers: get(b"/api/posts/1", *headers)],
    ids=["GraphQL operation", "REST list", "error"],
)
async def test_both_ways_of_writing_send_the_same_headers(live: LiveServer, request_with):
    """Responses that close their connection are sent as ASGI messages. Otherwise clients cannot tell the difference."""
    request_id = b"X-Request-ID: one"  # the same for both, because an error's body contains it
    received = await exchange(live.address, request_with(request_id), request_with(request_id, CLOSE))
    whole, by_messages = map(without_varying_headers, parse_responses(received))
    assert by_messages.headers.pop(b"connection") == b"close"
    assert whole == by_messages


async def test_pipelined_requests_are_answered_in_order(live: LiveServer):
    """Each gets its own response, though the second arrives before the first is answered."""
    bodies = [b'{"query":"{ a%d: __typename }"}' % n for n in range(5)]
    packet = b"".join(post_graphql(body=body) for body in bodies)
    responses = parse_responses(await exchange(live.address, packet + get(b"/api/health/live", CLOSE)))
    assert [response.body for response in responses[:5]] == [b'{"data":{"a%d":"Query"}}' % n for n in range(5)]
    assert responses[5].status == 200


async def test_a_response_to_head_has_the_length_of_get_and_no_body(live: LiveServer):
    (response,) = parse_responses(await exchange(live.address, get(b"/api/posts", CLOSE)))
    received = await exchange(live.address, format_request(b"HEAD", b"/api/posts", CLOSE))
    head, _, body = received.partition(b"\r\n\r\n")
    assert body == b""
    assert b"content-length: %b" % response.headers[b"content-length"] in head


async def test_a_request_in_http_1_0_is_answered_and_its_connection_closed(live: LiveServer):
    request = format_request(b"GET", b"/api/posts", version=b"1.0")
    (response,) = parse_responses(await exchange(live.address, request))
    assert (response.status, response.headers[b"connection"]) == (200, b"close")


async def test_a_client_that_expects_100_continue_gets_it_once(live: LiveServer):
    waiting = post_graphql(b"Expect: 100-continue")
    head = waiting.removesuffix(TYPENAME_QUERY)
    received = await exchange(live.address, head, TYPENAME_QUERY, get(b"/api/health/live", CLOSE))
    assert received.count(b"100 Continue\r\n\r\nHTTP/1.1 200 OK") == 1
    assert TYPENAME_RESULT in received


async def test_not_modified_has_no_body_and_no_length(live: LiveServer):
    """Written in either way."""
    etag = (await live.http.get("/api/posts")).headers["etag"].encode()
    if_none_match = b"If-None-Match: " + etag
    received = await exchange(live.address, get(b"/api/posts", if_none_match), get(b"/api/posts", if_none_match, CLOSE))
    whole, by_messages = parse_responses(received)
    assert whole.status == by_messages.status == 304
    assert b"content-length" not in whole.headers
    assert whole.headers[b"etag"] == by_messages.headers[b"etag"] == etag
