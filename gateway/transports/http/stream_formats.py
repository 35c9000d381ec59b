"""The formats of subscriptions over HTTP: server-sent events, and Apollo's multipart."""

import random
from typing import Protocol

from gateway.graphql.execution.subscriptions import EventResponse
from gateway.limits.open_streams import RETRY_RANGE_MS


class StreamFormat(Protocol):
    """The chunks of a stream. Each is complete, so that a stream may end after any of them."""

    name: str
    """The label of its streams in metrics."""
    media_type: str
    heartbeat_interval: float
    """Seconds of silence after which a heartbeat is sent."""

    def start(self, cursor: int) -> bytes:
        """Return the first chunk, sent at once to confirm the subscription."""

    def next(self, response: EventResponse) -> bytes: ...

    def heartbeat(self, cursor: int) -> bytes: ...

    def error(self, body: bytes) -> bytes:
        """Return the last chunk of a stream that failed. `body` is a response with errors only."""

    def shutdown(self, body: bytes) -> bytes:
        """Return the last chunk at shutdown, after which the client is to reconnect."""


class SSEFormat:
    """GraphQL over SSE in distinct connections mode. `id` is the cursor, which browsers send when they reconnect."""

    name = "sse"
    media_type = "text/event-stream; charset=utf-8"
    heartbeat_interval = 15.0

    def start(self, cursor: int) -> bytes:
        return b"id: %d\n:\n\n" % cursor

    def next(self, response: EventResponse) -> bytes:
        return b"id: %d\nevent: next\ndata: %b\n\n" % (response.cursor, single_line(response.body))

    def heartbeat(self, cursor: int) -> bytes:
        """Return a comment that also moves the cursor past events that did not match the subscription."""
        return b"id: %d\n: ping\n\n" % cursor

    def error(self, body: bytes) -> bytes:
        return single_response(body)

    def shutdown(self, body: bytes) -> bytes:
        return b"retry: %d\n\n" % random.randint(*RETRY_RANGE_MS)  # noqa: S311 - spreads reconnections, no secret


class MultipartFormat:
    """Apollo's multipart subscriptions. Each part ends with the next boundary, because clients wait for it."""

    name = "multipart"
    media_type = 'multipart/mixed;boundary="graphql";subscriptionSpec="1.0"'
    heartbeat_interval = 5.0

    def start(self, cursor: int) -> bytes:
        return b"\r\n--graphql" + multipart_part(b"{}")

    def next(self, response: EventResponse) -> bytes:
        return multipart_part(b'{"payload":%b}' % response.body)

    def heartbeat(self, cursor: int) -> bytes:
        return multipart_part(b"{}")

    def error(self, body: bytes) -> bytes:
        return multipart_part(b'{"payload":null,%b' % body.removeprefix(b"{")) + b"--\r\n"

    def shutdown(self, body: bytes) -> bytes:
        """Return an error that clients may retry: the protocol has no message for a shutdown."""
        return self.error(body)


def multipart_part(body: bytes) -> bytes:
    return b"\r\ncontent-type: application/json\r\n\r\n%b\r\n--graphql" % body


def single_line(body: bytes) -> bytes:
    """Return JSON on one line. The database may have put line breaks between its tokens."""
    return body.replace(b"\n", b" ") if b"\n" in body else body


def single_response(body: bytes) -> bytes:
    """Return a complete stream with one response."""
    return b"event: next\ndata: %b\n\nevent: complete\ndata:\n\n" % single_line(body)


STREAM_FORMATS: dict[str, StreamFormat] = {"text/event-stream": SSEFormat(), "multipart/mixed": MultipartFormat()}
