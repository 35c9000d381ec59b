"""The root type `Subscription`: a table of contents of the subscriptions."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from resolvers import subscriptions
from schema.descriptions import describe_enum
from schema.fields import SINCE, object_type, subscription
from schema.types import Comment, Order, Post

PostEventType = describe_enum(
    subscriptions.PostEventType,
    CREATED="The post was created.",
    UPDATED="The post was changed.",
    PUBLISHED="The post was published.",
    ARCHIVED="The post was archived.",
    DELETED="The post was deleted.",
    RESTORED="The post was restored.",
    LIKED="A user liked the post.",
    UNLIKED="A user removed their like.",
    COMMENTED="A user commented on the post.",
)


@object_type
class PostEvent:
    """An event of a post."""

    id: UUID
    """Id of the event. Pass it as `since` to continue after this event."""
    type: PostEventType
    """Type of the event."""
    post_id: UUID
    """Id of the post."""
    post: Post | None
    """The post in its current state; null if it was deleted or is hidden from the viewer."""
    at: datetime
    """Time of the event."""


@object_type
class Subscription:
    """Subscriptions. Each event is delivered once, in order, to subscribers who may see it at that time."""

    post_events: PostEvent = subscription(subscriptions.post_events, SINCE)
    comment_added: Comment = subscription(subscriptions.comment_added)
    order_updated: Order = subscription(subscriptions.order_updated)
