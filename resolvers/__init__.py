"""What the service does, and who may do it. Knows neither protocol."""

from resolvers import (
    accounts,
    comments,
    following,
    labels,
    nodes,
    orders,
    payments,
    posts,
    uploads,
    webhooks,
)
from resolvers.context import RequestContext

__all__ = [
    "RequestContext",
    "accounts",
    "comments",
    "following",
    "labels",
    "nodes",
    "orders",
    "payments",
    "posts",
    "uploads",
    "webhooks",
]
