"""Record events in the transaction of the change that they describe."""

from enum import StrEnum
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from models import Event, Order, Viewer
from models.events import add_event


class EventType(StrEnum):
    """The type of an event in the log."""

    POST_CREATED = "post.created"
    POST_UPDATED = "post.updated"
    POST_PUBLISHED = "post.published"
    POST_ARCHIVED = "post.archived"
    POST_DELETED = "post.deleted"
    POST_RESTORED = "post.restored"
    POST_LIKED = "post.liked"
    POST_UNLIKED = "post.unliked"
    COMMENT_ADDED = "comment.added"
    COMMENT_DELETED = "comment.deleted"
    ORDER_UPDATED = "order.updated"


def record_event(
    session: AsyncSession,
    type: EventType,
    actor: Viewer,
    post_id: UUID,
    entity_id: UUID | None = None,
    *,
    is_public: bool,
    hides: bool = False,
) -> None:
    """Record an event of a post or its comment. Subscribers who may see the post are notified.

    `is_public`: the post is public after the change; `hides`: the change made a public post invisible.
    """
    ids = {"entity_id": entity_id or post_id, "post_id": post_id, "actor_id": actor.id}
    add_event(session, Event(type=type.value, **ids, hides_post=hides, was_public=hides or is_public))


def record_order_event(session: AsyncSession, order: Order) -> None:
    """Record an event of an order. Only its buyer is notified; it has no actor, since Stripe causes it."""
    add_event(session, Event(type=EventType.ORDER_UPDATED.value, entity_id=order.id, was_public=False))
