"""Responses whose headers are bytes already: Starlette spells and encodes them anew for each."""

from collections.abc import Iterable

from starlette.responses import Response

Line = tuple[bytes, bytes]


class Ready(Response):
    """A response as it is: a body with its length and its type, or nothing but headers."""

    def __init__(self, status: int, headers: Iterable[Line], body: bytes = b"", media_type: bytes = b"") -> None:
        self.status_code, self.body, self.background = status, body, None
        self.raw_headers = [*headers]
        if media_type:
            self.raw_headers += (b"content-length", b"%d" % len(body)), (b"content-type", media_type)
