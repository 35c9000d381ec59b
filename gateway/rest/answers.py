"""Answers made of the engine's JSON text, which is never parsed on its way out."""

import hashlib
import re

from starlette.responses import Response

JSON = "application/json"
NO_STORE = {"Cache-Control": "no-store"}
REVALIDATED = {"Cache-Control": "private, no-cache", "Vary": "Authorization, Cookie, X-API-Key"}
"""What is seen depends on who asks, so only they may keep it, and must ask whether it still holds."""

VERSION = re.compile(rb'[{,]\s*"version"\s*:\s*(\d+)')
"""Text cannot hold this by chance: inside of it every quotation mark is escaped."""
VALIDATOR = re.compile(r'"([^"]*)"|(\*)')
"""Weak or not: proxies weaken what they compress, and the version within is as good as before."""
NEVER = 0
"""The version that no row has."""
DIGITS = 18


def json(text: bytes, status: int = 200, headers: dict[str, str] = REVALIDATED) -> Response:
    return Response(text, status, headers, JSON)


def data(text: bytes, status: int = 200, headers: dict[str, str] = REVALIDATED) -> Response:
    return json(b'{"data":%b}' % text, status, headers)


def entity(text: bytes, status: int = 200, *, if_none_match: str | None = None, **headers: str) -> Response:
    """One entity with its ETag; 304 to who has it already."""
    etag = etag_of(text)
    headers = {**REVALIDATED, "ETag": etag, **headers}
    if if_none_match is not None and matches(if_none_match, etag):
        return Response(status_code=304, headers=headers)
    return data(text, status, headers)


def etag_of(text: bytes) -> str:
    """`"VERSION.DIGEST"`: the version says whether its author changed it, the digest whether anything did."""
    version = VERSION.search(text)
    digest = hashlib.blake2b(text, digest_size=12).hexdigest()
    return f'"{int(version.group(1)) if version else NEVER}.{digest}"'


def validators(text: str) -> list[str]:
    """What a list of entity tags names; `*` names whatever there is."""
    return [tag or star for tag, star in VALIDATOR.findall(text)]


def matches(if_none_match: str, etag: str) -> bool:
    named = validators(if_none_match)
    return "*" in named or etag.strip('"') in named


def expected_version(if_match: str | None) -> int | None:
    """The version that a write is meant for; None where any will do.

    Versions only grow, so of several that a client names only the highest can still be the present one.
    """
    if if_match is None or "*" in (named := validators(if_match)):
        return None
    versions = [tag.partition(".")[0] for tag in named]
    readable = (int(text) for text in versions if text.isascii() and text.isdigit() and len(text) <= DIGITS)
    return max(readable, default=NEVER)
