"""What comes in and what goes out, whatever the transport."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any

import orjson

from gateway.graphql.errors import format_error
from gateway.http.conditional import NO_CACHE, CacheControl


@dataclass(frozen=True, slots=True)
class DocumentReference:
    """A document by its name."""

    id: str
    is_automatic: bool = False
    """Whether it is the hash of Apollo's automatic persisted queries, whose text may come along."""


class CostReport(Enum):
    """What a client wants to know of what its operation costs; Hot Chocolate's words."""

    REPORT = "report"
    """That, beside the answer."""
    VALIDATE = "validate"
    """That alone, and nothing is run."""


@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    """What a client asks."""

    query: str
    variables: dict[str, Any] | None = None
    operation_name: str | None = None
    only_queries: bool = False
    """A request that must change nothing, such as a GET."""
    reference: DocumentReference | None = None
    """What names its document, until `gateway/persisted` has found the text."""
    cost: CostReport | None = None


LONGEST_NAME = 100
"""Characters of an operation's name that logs and traces have: clients make names up, as long as documents may be."""


def truncate_name(name: str | None) -> str | None:
    """What logs and traces call an operation."""
    return name and name[:LONGEST_NAME]


@dataclass(frozen=True)
class GraphQLResponse:
    """The whole response, and what a log says of it."""

    body: bytes
    has_data: bool = True
    """False of a request error: the body has no `data`."""
    errors: list[str] = field(default_factory=list)
    """The code of each error."""
    operation: str | None = None
    """What the client calls the operation, as far as that is logged."""
    reuse: CacheControl = NO_CACHE
    points: int = 0
    """What it costs."""
    kind: str = ""
    """The operation's type, where it was executed."""

    @cached_property
    def etag(self) -> str:
        """Names these bytes."""
        return f'"{digest(self.body)}"'


def build_response(
    data: bytes | None,
    errors: Sequence[Exception],
    operation: str | None,
    request_id: str,
    reuse: CacheControl = NO_CACHE,
    points: int = 0,
    kind: str = "",
) -> GraphQLResponse:
    """The response's JSON. Without `data` nothing was executed."""
    entries = [] if data is None else [b'"data":' + data]
    told = [format_error(error, request_id) for error in errors]
    if told:
        entries.append(b'"errors":' + orjson.dumps(told, default=str))
    codes = [entry["extensions"]["code"] for entry in told]
    body = b"{" + b",".join(entries) + b"}"
    return GraphQLResponse(body, data is not None, codes, truncate_name(operation), reuse, points, kind)


def with_cost_extension(body: bytes, points: int, most: int) -> bytes:
    """A response that says what it costs, and what one may."""
    extensions = b'"extensions":{"cost":{"requested":%d,"maximum":%d}}}' % (points, most)
    return (body[:-1] + b"," + extensions) if len(body) > 2 else b"{" + extensions


def digest(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=12).hexdigest()
