"""What comes in and what goes out, whatever the transport."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from gateway.graphql.errors import rendered


@dataclass(frozen=True, slots=True)
class Reference:
    """A document by its name."""

    id: str
    is_automatic: bool = False
    """Whether it is the hash of Apollo's automatic persisted queries, whose text may come along."""


@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    """What a client asks."""

    query: str
    variables: dict[str, Any] | None = None
    operation_name: str | None = None
    only_queries: bool = False
    """A request that must change nothing, such as a GET."""
    reference: Reference | None = None
    """What names its document, until `gateway/persisted` has found the text."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The whole response, and what a log says of it."""

    body: bytes
    executed: bool = True
    """False of a request error: the body has no `data`."""
    errors: list[str] = field(default_factory=list)
    """The code of each error."""
    operation: str | None = None
    """What the client calls the operation."""


def answered(data: bytes | None, errors: Sequence[Exception], operation: str | None, request_id: str) -> Answer:
    """The response's JSON. Without `data` nothing was executed."""
    entries = [] if data is None else [b'"data":' + data]
    told = [rendered(error, request_id) for error in errors]
    if told:
        entries.append(b'"errors":' + orjson.dumps(told, default=str))
    codes = [entry["extensions"]["code"] for entry in told]
    return Answer(b"{" + b",".join(entries) + b"}", data is not None, codes, operation)
