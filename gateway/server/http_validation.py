"""Checks of request heads that the parser leaves to the server, and of response headers."""

import re
from collections.abc import Iterable

Header = tuple[bytes, bytes]
"""A header's name, in lower case, and its value."""

MAX_HEAD_BYTES = 64 * 1024
"""Size of a request line with its headers. The parser has no limit, so a client could fill the memory with one head."""
MAX_TRAILER_BYTES = 8 * 1024
"""Size of chunk extensions and trailers between two pieces of a body. They are parsed and discarded."""

HOST = re.compile(rb"(\[[\w:.%~-]+\]|[\w.~!$&'()*+;=%-]*)(:[0-9]*)?")
"""A host and port as in a URI (RFC 3986, 3.2.2), without the comma: proxies disagree on `Host: a, b`."""
INVALID_NAME = re.compile(rb'[\x00-\x1f\x7f()<>@,;:\[\]={} \t\\"]')
INVALID_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


def check_request_head(version: str, headers: Iterable[Header]) -> None:
    """Raise `ValueError` for a head that a proxy in front may understand differently.

    One valid `Host` (RFC 9112, 3.2), against cache poisoning and forged links. Only `chunked` as transfer coding, only
    once, and only in HTTP/1.1 (RFC 9112, 6.1), against request smuggling: the parser takes `gzip, chunked` as well.
    """
    hosts, codings = [], []
    for name, value in headers:
        if name == b"host":
            hosts.append(value)
        elif name == b"transfer-encoding":
            codings.append(value)
    is_http_1_1 = version == "1.1"
    if len(hosts) > 1 or (is_http_1_1 and not hosts):
        raise ValueError("A request needs exactly one Host header")
    if hosts and not HOST.fullmatch(hosts[0].rstrip(b" \t")):
        raise ValueError("The Host header is invalid")
    if codings and (not is_http_1_1 or len(codings) > 1 or codings[0].rstrip(b" \t").lower() != b"chunked"):
        raise ValueError("Only chunked is supported as Transfer-Encoding")


def check_response_header(name: bytes, value: bytes) -> None:
    """Raise `RuntimeError` for a header that could start another header or a body (response splitting)."""
    if INVALID_NAME.search(name) or INVALID_VALUE.search(value):
        raise RuntimeError(f"Invalid response header {name!r}")


def is_websocket_upgrade(headers: Iterable[Header]) -> bool:
    """Return True if the client asks for a WebSocket connection. If a header is repeated, the last one counts."""
    last = dict(headers)
    options = [option.strip().lower() for option in last.get(b"connection", b"").split(b",")]
    return b"upgrade" in options and last.get(b"upgrade", b"").lower() == b"websocket"
