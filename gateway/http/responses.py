"""Responses whose headers are bytes already: Starlette spells and encodes them anew for each."""

from collections.abc import Iterable
from functools import cached_property

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

Line = tuple[bytes, bytes]
"""A header's name, in lower case, and its value."""


def encode_headers(lines: Iterable[Line]) -> bytes:
    """Headers as they go over the wire."""
    return b"".join([b"%b: %b\r\n" % line for line in lines])


def decode_headers(text: bytes) -> list[Line]:
    """What was written so."""
    return [tuple(line.split(b": ", 1)) for line in text.split(b"\r\n")[:-1]]


class RawResponse(Response):
    """A response as it is: a body with its length and its type, or nothing but headers.

    It has no header of those that all answers have.
    """

    def __init__(self, status: int, head: bytes, body: bytes = b"", media_type: bytes = b"") -> None:
        """`head`: its headers as they go over the wire, but for those that the body has."""
        self.status_code, self.body, self.background = status, body, None
        self.head = (
            b"%bcontent-length: %d\r\ncontent-type: %b\r\n" % (head, len(body), media_type) if media_type else head
        )

    @cached_property
    def raw_headers(self) -> list[Line]:
        return decode_headers(self.head)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not send_whole(send, self.status_code, self.head, self.body):
            await super().__call__(scope, receive, send)


def send_whole(send: Send, status: int, head: bytes, body: bytes) -> bool:
    """Send an answer in one piece, if nothing between here and the connection has to see its messages. False if not.

    The outermost layer's `send` has a `send_whole` beside its `__call__`; one that is wrapped in another has it no more.
    """
    whole = getattr(send, "send_whole", None)
    return whole is not None and whole(status, head, body)
