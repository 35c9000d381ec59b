"""Caching by clients and proxies: `Cache-Control`, and `ETag` with `If-None-Match` (RFC 9110, 9111)."""

import re
from dataclasses import dataclass

from starlette.responses import Response

from gateway.http.request_state import RequestState
from gateway.http.responses import RawResponse, encode_headers

CREDENTIAL_HEADERS = frozenset({b"authorization", b"cookie", b"x-api-key"})
VARY = "Authorization, Cookie, X-API-Key"

PRIVATE_HEADERS = {"Cache-Control": "private, no-cache", "Vary": VARY}
"""Only the client may store the response, and must revalidate it each time."""
PRIVATE_CACHE_CONTROL = encode_headers([(b"cache-control", PRIVATE_HEADERS["Cache-Control"].encode())])

ETAG = re.compile(r'"([^"]*)"|(\*)')
"""The prefix `W/` is ignored: proxies add it when they compress a response, and `If-None-Match` compares weakly."""


@dataclass(frozen=True, slots=True)
class CacheControl:
    """The lifetime of a response in caches, and whether shared caches may store it."""

    max_age: int = 0
    """Seconds; 0 means that it must be revalidated each time."""
    is_private: bool = True
    """True if it depends on the viewer."""


NO_CACHE = CacheControl()


def cache_control(control: CacheControl, state: RequestState) -> bytes:
    """Return the header. Shared caches may store the response only if the request has no credentials."""
    if not control.max_age:
        return PRIVATE_CACHE_CONTROL
    is_shared = not control.is_private and CREDENTIAL_HEADERS.isdisjoint(state.headers)
    return b"cache-control: %b, max-age=%d\r\n" % (b"public" if is_shared else b"private", control.max_age)


def parse_etags(text: str) -> list[str]:
    """Return the entity tags in a list without quotation marks; `*` stands for any."""
    return [tag or star for tag, star in ETAG.findall(text)]


def etag_matches(if_none_match: str, etag: str) -> bool:
    tags = parse_etags(if_none_match)
    return "*" in tags or etag.strip('"') in tags


def conditional_response(body: bytes, etag: str, state: RequestState, head: bytes, media_type: bytes) -> Response:
    """Return a response with its `ETag`, or a 304 if the client has it already."""
    head = b"%betag: %b\r\n" % (head, etag.encode())
    if_none_match = state.header(b"if-none-match")
    if if_none_match is not None and (if_none_match == etag or etag_matches(if_none_match, etag)):
        return RawResponse(304, head)
    return RawResponse(200, head, body, media_type)
