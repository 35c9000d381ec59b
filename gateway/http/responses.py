"""Responses whose headers are encoded in advance: Starlette encodes the headers of each response again."""

from collections.abc import Iterable
from functools import cached_property

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

Header = tuple[bytes, bytes]
"""The name in lower case, and the value."""


def encode_headers(headers: Iterable[Header]) -> bytes:
    """Return header lines as HTTP/1.1 sends them."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])


def decode_headers(head: bytes) -> list[Header]:
    """Return the headers in lines that `encode_headers` wrote."""
    return [tuple(line.split(b": ", 1)) for line in head.split(b"\r\n")[:-1]]


class RawResponse(Response):
    """A response with a body, its length and its type, or with headers only.

    The common headers (`RequestStateMiddleware`) are not part of it.
    """

    def __init__(self, status: int, head: bytes, body: bytes = b"", media_type: bytes = b"") -> None:
        """`head`: encoded headers, without the body's length and type."""
        self.status_code, self.body, self.background = status, body, None
        self.head = (
            b"%bcontent-length: %d\r\ncontent-type: %b\r\n" % (head, len(body), media_type) if media_type else head
        )

    @cached_property
    def raw_headers(self) -> list[Header]:
        return decode_headers(self.head)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # `ResponseSender` writes the response at once. A middleware that wraps `send` hides that method.
        send_whole = getattr(send, "send_whole", None)
        if send_whole is None or not send_whole(self.status_code, self.head, self.body):
            await super().__call__(scope, receive, send)
