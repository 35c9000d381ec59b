"""What can be asked: a table of contents."""

import resolvers
from schema.cache_control import Cache, Scope
from schema.fields import BOTH_WAYS, SEVERAL, Connection, Page, answered, reads
from schema.types import Category, Node, Order, Post, Tag, Upload, User, WebhookEvent


@answered
class Query:
    """What can be asked. Ids that are missing, hidden or malformed are null, without an error."""

    viewer: User | None = reads(resolvers.accounts.viewer, cache=Cache(scope=Scope.PRIVATE))
    node: Node | None = reads(resolvers.nodes.node)
    user: User | None = reads(resolvers.accounts.user)
    post: Post | None = reads(resolvers.posts.post)
    posts: Connection[Post] = reads(resolvers.posts.posts, paging=BOTH_WAYS)
    post_page: Page[Post] = reads(resolvers.posts.posts)
    categories: list[Category] = reads(resolvers.taxonomy.categories, assumed=20)
    tags: list[Tag] = reads(resolvers.taxonomy.tags, paging=SEVERAL)
    orders: Connection[Order] = reads(resolvers.orders.orders)
    webhook_events: Connection[WebhookEvent] = reads(resolvers.webhooks.webhook_events)
    uploads: Connection[Upload] = reads(resolvers.uploads.uploads)
