"""The operations and queries of the service, with their permission checks. Independent of GraphQL and HTTP."""

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
