"""What the service does, and who may do it. Knows neither protocol."""

from resolvers import accounts, comments, nodes, orders, payments, posts, subscriptions, taxonomy, uploads
from resolvers.context import RequestContext
from resolvers.stripe import webhooks

__all__ = [
    "RequestContext",
    "accounts",
    "comments",
    "nodes",
    "orders",
    "payments",
    "posts",
    "subscriptions",
    "taxonomy",
    "uploads",
    "webhooks",
]
