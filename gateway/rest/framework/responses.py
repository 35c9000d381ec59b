"""Responses built from the read engine's JSON text, without parsing it, and their entity tags."""

import re
from dataclasses import dataclass
from functools import cached_property

from starlette.responses import Response
from starlette.types import Scope

from gateway.graphql.response import digest
from gateway.http import responses
from gateway.http.conditional import (
    PRIVATE_HEADERS,
    VARY,
    CacheControl,
    cache_control,
    conditional_response,
    parse_etags,
)
from gateway.http.idempotency import ResponseCodec, StoredResponse
from gateway.http.request_state import get_request_state

JSON = "application/json"
VARY_LINE = responses.encode_headers([(b"vary", VARY.encode())])
STORED_HEADERS = "content-type", "etag", "location", "cache-control", "vary"
NO_STORE = {"Cache-Control": "no-store"}

DATA_PREFIX = b'{"data":'
VERSION = re.compile(rb'[{,]\s*"version"\s*:\s*(\d+)')
"""Cannot match inside a JSON string, where every quotation mark is escaped."""
NO_VERSION = 0
"""A version that no row has."""
MAX_VERSION_DIGITS = 18


@dataclass(frozen=True)
class JsonBody:
    """A JSON body as it is sent, and how clients may cache it."""

    text: bytes
    cache_control: CacheControl

    @cached_property
    def etag(self) -> str:
        return f'"{digest(self.text)}"'


class VersionedBody(JsonBody):
    """The body of one entity that has a `version`."""

    @cached_property
    def etag(self) -> str:
        """The entity tag `"VERSION.DIGEST"`.

        `If-Match` compares the version, which grows with each edit by the author. `If-None-Match` compares the digest
        as well, which changes with anything that the body shows, such as a like.
        """
        data = self.text.removeprefix(DATA_PREFIX)[:-1]
        version = VERSION.search(data)
        return f'"{int(version.group(1)) if version else NO_VERSION}.{digest(data)}"'


def wrap_data(text: bytes) -> bytes:
    return b"%b%b}" % (DATA_PREFIX, text)


def json_response(text: bytes, status: int = 200, headers: dict[str, str] = PRIVATE_HEADERS) -> Response:
    return Response(text, status, headers, JSON)


def get_response(scope: Scope, body: JsonBody) -> Response:
    """Return the response to a GET: 304 without a body if the client sent the current ETag."""
    request_state = get_request_state(scope)
    return conditional_response(
        body.text, body.etag, request_state, cache_control(body.cache_control, request_state) + VARY_LINE, JSON.encode()
    )


def write_response(body: JsonBody, status: int = 200, **headers: str) -> Response:
    """Return the response to a write: the changed entity with its new ETag."""
    return json_response(body.text, status, {**PRIVATE_HEADERS, "ETag": body.etag, **headers})


def encode_response(response: Response) -> StoredResponse | None:
    """Return what to store for a repeated `Idempotency-Key`. None for a server error, which clients may retry."""
    if response.status_code >= 500:
        return None
    headers = {name: response.headers[name] for name in STORED_HEADERS if name in response.headers}
    return StoredResponse(response.status_code, headers, bytes(response.body))


def decode_response(stored: StoredResponse) -> Response:
    return Response(stored.body, stored.status, stored.headers)


IDEMPOTENCY_CODEC = ResponseCodec(encode_response, decode_response)


def parse_if_match(if_match: str | None) -> int | None:
    """Return the version that `If-Match` requires; None if any version will do.

    Versions only grow, so of several tags only the one with the highest version can still be current.
    """
    if if_match is None or "*" in (tags := parse_etags(if_match)):
        return None
    versions = [tag.partition(".")[0] for tag in tags]
    parsed = (int(text) for text in versions if text.isascii() and text.isdigit() and len(text) <= MAX_VERSION_DIGITS)
    return max(parsed, default=NO_VERSION)
