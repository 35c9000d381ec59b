"""The forms in which a subscription's answers travel over one HTTP response."""

import random
from typing import Protocol

from gateway.graphql.execution.subscriptions import EventResponse
from gateway.limits.open_streams import RETRY_RANGE_MS


class StreamFormat(Protocol):
    """What is written when. Each piece is whole: a stream may end after any of them."""

    name: str
    """What its streams are counted as."""
    media_type: str
    heartbeat_interval: float
    """Seconds after which a client is told that the stream still stands."""

    def start(self, cursor: int) -> bytes:
        """The first that a client gets, at once, so that it knows that it is heard."""

    def next(self, told: EventResponse) -> bytes: ...

    def heartbeat(self, cursor: int) -> bytes: ...

    def error(self, body: bytes) -> bytes:
        """The last of a stream that may not go on: a response with errors alone."""

    def shutdown(self, body: bytes) -> bytes:
        """The last of a stream whose server goes; the client is to come back."""


class SSEFormat:
    """GraphQL over SSE in distinct connections mode. `id` is the cursor, which browsers send back by themselves."""

    name = "sse"
    media_type = "text/event-stream; charset=utf-8"
    heartbeat_interval = 15.0

    def start(self, cursor: int) -> bytes:
        return b"id: %d\n:\n\n" % cursor

    def next(self, told: EventResponse) -> bytes:
        return b"id: %d\nevent: next\ndata: %b\n\n" % (told.cursor, single_line(told.body))

    def heartbeat(self, cursor: int) -> bytes:
        """Moves the cursor too, past events that are nothing to this client."""
        return b"id: %d\n: ping\n\n" % cursor

    def error(self, body: bytes) -> bytes:
        return single_response(body)

    def shutdown(self, body: bytes) -> bytes:
        return b"retry: %d\n\n" % random.randint(*RETRY_RANGE_MS)  # noqa: S311 - chance enough to keep clients apart


class MultipartFormat:
    """Apollo's multipart subscriptions. Each part ends with the next one's boundary, or clients would wait for it."""

    name = "multipart"
    media_type = 'multipart/mixed;boundary="graphql";subscriptionSpec="1.0"'
    heartbeat_interval = 5.0

    def start(self, cursor: int) -> bytes:
        return b"\r\n--graphql" + multipart_part(b"{}")

    def next(self, told: EventResponse) -> bytes:
        return multipart_part(b'{"payload":%b}' % told.body)

    def heartbeat(self, cursor: int) -> bytes:
        return multipart_part(b"{}")

    def error(self, body: bytes) -> bytes:
        return multipart_part(b'{"payload":null,%b' % body.removeprefix(b"{")) + b"--\r\n"

    def shutdown(self, body: bytes) -> bytes:
        """Without a way to say so, a refusal that may be tried again."""
        return self.error(body)


def multipart_part(body: bytes) -> bytes:
    return b"\r\ncontent-type: application/json\r\n\r\n%b\r\n--graphql" % body


def single_line(body: bytes) -> bytes:
    """JSON on one line: between its tokens a database may have broken it."""
    return body.replace(b"\n", b" ") if b"\n" in body else body


def single_response(body: bytes) -> bytes:
    """A whole stream of one answer."""
    return b"event: next\ndata: %b\n\nevent: complete\ndata:\n\n" % single_line(body)


STREAM_FORMATS: dict[str, StreamFormat] = {"text/event-stream": SSEFormat(), "multipart/mixed": MultipartFormat()}
