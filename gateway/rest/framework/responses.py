"""Answers made of the engine's JSON text, which is never parsed on its way out."""

import re
from dataclasses import dataclass
from functools import cached_property

from starlette.responses import Response
from starlette.types import Scope

from gateway.graphql.request import Reuse, digest
from gateway.http import responses
from gateway.http.conditional import REVALIDATED, VARY, cache_control, unless_known, validators
from gateway.http.idempotency import Form, Kept
from gateway.http.request_state import visit_of

JSON = "application/json"
VARYING = responses.written([(b"vary", VARY.encode())])
KEPT_HEADERS = "content-type", "etag", "location", "cache-control", "vary"
NO_STORE = {"Cache-Control": "no-store"}

VERSION = re.compile(rb'[{,]\s*"version"\s*:\s*(\d+)')
"""Text cannot hold this by chance: inside of it every quotation mark is escaped."""
NEVER = 0
"""The version that no row has."""
DIGITS = 18


@dataclass(frozen=True)
class Body:
    """What was read, as it is sent."""

    text: bytes
    reuse: Reuse

    @cached_property
    def etag(self) -> str:
        return f'"{digest(self.text)}"'


class Entity(Body):
    """One entity, whose tag also says which version it is."""

    @cached_property
    def etag(self) -> str:
        """`"VERSION.DIGEST"`: the version says whether its author changed it, the digest whether anything did."""
        data = self.text.removeprefix(DATA)[:-1]
        version = VERSION.search(data)
        return f'"{int(version.group(1)) if version else NEVER}.{digest(data)}"'


DATA = b'{"data":'


def wrapped(text: bytes) -> bytes:
    return b"%b%b}" % (DATA, text)


def json(text: bytes, status: int = 200, headers: dict[str, str] = REVALIDATED) -> Response:
    return Response(text, status, headers, JSON)


def data(text: bytes, status: int = 200, headers: dict[str, str] = REVALIDATED) -> Response:
    return json(wrapped(text), status, headers)


def read(scope: Scope, body: Body) -> Response:
    """What a GET answers, to who does not have it already."""
    visit = visit_of(scope)
    return unless_known(body.text, body.etag, visit, cache_control(body.reuse, visit) + VARYING, JSON.encode())


def written(body: Body, status: int = 200, **headers: str) -> Response:
    """What a write answers: the entity as it is now, with its tag."""
    return json(body.text, status, {**REVALIDATED, "ETag": body.etag, **headers})


def kept(response: Response) -> Kept | None:
    """Of an answer to a write, what is kept for whoever sends it again."""
    if response.status_code >= 500:
        return None
    headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    return Kept(response.status_code, headers, bytes(response.body))


def again(known: Kept) -> Response:
    return Response(known.body, known.status, known.headers)


FORM = Form(kept, again)


def expected_version(if_match: str | None) -> int | None:
    """The version that a write is meant for; None where any will do.

    Versions only grow, so of several that a client names only the highest can still be the present one.
    """
    if if_match is None or "*" in (named := validators(if_match)):
        return None
    versions = [tag.partition(".")[0] for tag in named]
    readable = (int(text) for text in versions if text.isascii() and text.isdigit() and len(text) <= DIGITS)
    return max(readable, default=NEVER)
