"""What clients and proxies may do with an answer that they have: use it again, or ask whether it still holds."""

import re

from starlette.datastructures import Headers
from starlette.responses import Response

from gateway.graphql.requests import Reuse

CREDENTIALS = "authorization", "cookie", "x-api-key"
VARY = "Authorization, Cookie, X-API-Key"
"""What is seen depends on who asks."""

REVALIDATED = {"Cache-Control": "private, no-cache", "Vary": VARY}
"""Only who asked may keep it, and must ask whether it still holds."""

VALIDATOR = re.compile(r'"([^"]*)"|(\*)')
"""Weak or not: proxies weaken what they compress, and what it names is as good as before."""


def cache_control(reuse: Reuse, asked: Headers) -> str:
    """Shared only where nobody said who they are, and it would have made no difference."""
    if not reuse.max_age:
        return REVALIDATED["Cache-Control"]
    is_shared = not reuse.is_private and not any(name in asked for name in CREDENTIALS)
    return f"{'public' if is_shared else 'private'}, max-age={reuse.max_age}"


def validators(text: str) -> list[str]:
    """What a list of entity tags names; `*` names whatever there is."""
    return [tag or star for tag, star in VALIDATOR.findall(text)]


def matches(if_none_match: str, etag: str) -> bool:
    named = validators(if_none_match)
    return "*" in named or etag.strip('"') in named


def unless_known(body: bytes, etag: str, asked: Headers, headers: dict[str, str], media_type: str) -> Response:
    """An answer with its tag; 304 to who has it already."""
    headers["ETag"] = etag
    known = asked.get("if-none-match")
    if known is not None and matches(known, etag):
        return Response(status_code=304, headers=headers)
    return Response(body, 200, headers, media_type)
