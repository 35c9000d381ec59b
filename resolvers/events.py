"""Facts, written in the transaction that makes them true."""

from enum import StrEnum
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from models import Event, Order, Viewer
from models.events import add_event


class EventType(StrEnum):
    """What can have happened, as the event log and its followers name it."""

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
    fact: EventType,
    actor: Viewer,
    post_id: UUID,
    entity_id: UUID | None = None,
    *,
    is_public: bool,
    hides: bool = False,
) -> None:
    """A fact about a post, or about another entity that belongs to one. Told to those who may see the post.

    `is_public`: whether everyone sees the post from now on; `hides`: whether everyone did until now.
    """
    about = {"entity_id": entity_id or post_id, "post_id": post_id, "actor_id": actor.id}
    add_event(session, Event(type=fact.value, **about, hides_post=hides, was_public=hides or is_public))


def record_order_event(session: AsyncSession, order: Order) -> None:
    """A fact about an order, told to its buyer alone. Nobody here did it: what pays and refunds is Stripe's word."""
    add_event(session, Event(type=EventType.ORDER_UPDATED.value, entity_id=order.id, was_public=False))
