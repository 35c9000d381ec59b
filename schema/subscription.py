"""What can be followed: a table of contents."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from resolvers import subscriptions
from schema.descriptions import described_enum
from schema.fields import SINCE, object_type, subscription
from schema.types import Comment, Order, Post

PostEventType = described_enum(
    subscriptions.PostEventType,
    CREATED="It was written.",
    UPDATED="Its author changed it.",
    PUBLISHED="Everyone may see it from now on.",
    ARCHIVED="It went from public sight.",
    DELETED="It was deleted.",
    RESTORED="It was brought back.",
    LIKED="Somebody likes it.",
    UNLIKED="Somebody likes it no longer.",
    COMMENTED="Somebody said something about it.",
)


@object_type
class PostEvent:
    """Something that happened to a post."""

    id: UUID
    """Its place in the order of events: give it as `since` to go on from here."""
    type: PostEventType
    """What happened."""
    post_id: UUID
    """The post's id."""
    post: Post | None
    """The post as it is by now; null once it is gone or hidden from you."""
    at: datetime
    """When it happened."""


@object_type
class Subscription:
    """What can be followed. Each event comes once, in order, to those who may know of it by then."""

    post_events: PostEvent = subscription(subscriptions.post_events, SINCE)
    comment_added: Comment = subscription(subscriptions.comment_added)
    order_updated: Order = subscription(subscriptions.order_updated)
