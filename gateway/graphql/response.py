"""A GraphQL response, as the engine returns it to every transport."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import orjson

from gateway.graphql.errors import format_error
from gateway.http.conditional import NO_CACHE, CacheControl

MAX_LOGGED_NAME_LENGTH = 100
"""Characters of an operation name in logs and traces. Clients choose names, which may be as long as a document."""


@dataclass(frozen=True)
class GraphQLResponse:
    """An encoded response, and what is logged about it."""

    body: bytes
    has_data: bool = True
    """False for a request error, whose body has no `data`."""
    errors: list[str] = field(default_factory=list)
    """The code of each error."""
    operation: str | None = None
    """The operation's name, truncated for logs."""
    cache_control: CacheControl = NO_CACHE
    cost: int = 0
    """The operation's cost in points."""
    kind: str = ""
    """The operation's type if it was executed."""

    @cached_property
    def etag(self) -> str:
        return f'"{digest(self.body)}"'


def build_response(
    data: bytes | None,
    errors: Sequence[Exception],
    operation: str | None,
    request_id: str,
    cache_control: CacheControl = NO_CACHE,
    cost: int = 0,
    kind: str = "",
) -> GraphQLResponse:
    """Encode a response. `data` is None for a request error: nothing was executed."""
    entries = [] if data is None else [b'"data":' + data]
    formatted = [format_error(error, request_id) for error in errors]
    if formatted:
        entries.append(b'"errors":' + orjson.dumps(formatted, default=str))
    codes = [entry["extensions"]["code"] for entry in formatted]
    body = b"{" + b",".join(entries) + b"}"
    return GraphQLResponse(body, data is not None, codes, truncate_name(operation), cache_control, cost, kind)


def with_cost_extension(body: bytes, cost: int, max_cost: int) -> bytes:
    """Add `extensions.cost` to an encoded response."""
    extensions = b'"extensions":{"cost":{"requested":%d,"maximum":%d}}}' % (cost, max_cost)
    return (body[:-1] + b"," + extensions) if len(body) > 2 else b"{" + extensions


def truncate_name(name: str | None) -> str | None:
    """Truncate an operation name for logs and traces."""
    return name and name[:MAX_LOGGED_NAME_LENGTH]


def digest(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=12).hexdigest()
