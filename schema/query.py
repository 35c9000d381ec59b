"""The root type `Query`: a table of contents of the queries."""

import resolvers
from schema.cache_control import Cache, Scope
from schema.fields import BIDIRECTIONAL_PAGING, FIRST_ONLY, Connection, Page, field, object_type
from schema.types import Category, Node, Order, Post, Tag, Upload, User, WebhookEvent


@object_type
class Query:
    """Queries. An unknown, hidden or malformed id gives null, not an error."""

    viewer: User | None = field(resolvers.accounts.viewer, cache=Cache(scope=Scope.PRIVATE))
    node: Node | None = field(resolvers.nodes.node)
    user: User | None = field(resolvers.accounts.user)
    post: Post | None = field(resolvers.posts.post)
    posts: Connection[Post] = field(resolvers.posts.posts, paging=BIDIRECTIONAL_PAGING)
    post_page: Page[Post] = field(resolvers.posts.posts)
    categories: list[Category] = field(resolvers.taxonomy.categories, assumed_size=20)
    tags: list[Tag] = field(resolvers.taxonomy.tags, paging=FIRST_ONLY)
    orders: Connection[Order] = field(resolvers.orders.orders)
    webhook_events: Connection[WebhookEvent] = field(resolvers.webhooks.webhook_events)
    uploads: Connection[Upload] = field(resolvers.uploads.uploads)
