"""What clients and proxies may do with an answer that they have: use it again, or ask whether it still holds."""

import re
from dataclasses import dataclass

from starlette.responses import Response

from gateway.http.request_state import RequestState
from gateway.http.responses import RawResponse, encode_headers

CREDENTIAL_HEADERS = frozenset({b"authorization", b"cookie", b"x-api-key"})
VARY = "Authorization, Cookie, X-API-Key"
"""What is seen depends on who asks."""

REVALIDATED = {"Cache-Control": "private, no-cache", "Vary": VARY}
"""Only who asked may keep it, and must ask whether it still holds."""
NOT_SHARED = encode_headers([(b"cache-control", REVALIDATED["Cache-Control"].encode())])

VALIDATOR = re.compile(r'"([^"]*)"|(\*)')
"""Weak or not: proxies weaken what they compress, and what it names is as good as before."""


@dataclass(frozen=True, slots=True)
class CacheControl:
    """How long a response may be reused, and by whom."""

    max_age: int = 0
    """Seconds; 0 means that it must be revalidated each time."""
    is_private: bool = True
    """Whether it depends on the viewer."""


NO_CACHE = CacheControl()


def cache_control(reuse: CacheControl, visit: RequestState) -> bytes:
    """Shared only where nobody said who they are, and it would have made no difference."""
    if not reuse.max_age:
        return NOT_SHARED
    is_shared = not reuse.is_private and CREDENTIAL_HEADERS.isdisjoint(visit.headers)
    return b"cache-control: %b, max-age=%d\r\n" % (b"public" if is_shared else b"private", reuse.max_age)


def parse_etags(text: str) -> list[str]:
    """What a list of entity tags names; `*` names whatever there is."""
    return [tag or star for tag, star in VALIDATOR.findall(text)]


def etag_matches(if_none_match: str, etag: str) -> bool:
    named = parse_etags(if_none_match)
    return "*" in named or etag.strip('"') in named


def conditional_response(body: bytes, etag: str, visit: RequestState, head: bytes, media_type: bytes) -> Response:
    """An answer with its tag; 304 to who has it already."""
    tagged = b"%betag: %b\r\n" % (head, etag.encode())
    known = visit.header(b"if-none-match")
    if known is not None and (known == etag or etag_matches(known, etag)):
        return RawResponse(304, tagged)
    return RawResponse(200, tagged, body, media_type)
