"""A GraphQL request, as every transport passes it to the engine."""

from dataclasses import dataclass
from enum import Enum
from typing import Any


@dataclass(frozen=True, slots=True)
class DocumentReference:
    """The id of a document that is not sent with the request."""

    id: str
    is_automatic: bool = False
    """Whether it is a hash of Apollo's automatic persisted queries, which the text may accompany."""


class CostReport(Enum):
    """The value of the `GraphQL-Cost` header, as in Hot Chocolate."""

    REPORT = "report"
    """Execute the operation, and add its cost to the response."""
    VALIDATE = "validate"
    """Respond with the cost, and execute nothing."""


@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    """The parameters of one GraphQL request."""

    query: str
    variables: dict[str, Any] | None = None
    operation_name: str | None = None
    only_queries: bool = False
    """Whether mutations are rejected, as in a GET request."""
    reference: DocumentReference | None = None
    """The reference to the document, until `gateway/persisted` has resolved it."""
    cost: CostReport | None = None
