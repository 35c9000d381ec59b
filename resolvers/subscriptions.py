"""Subscriptions. Each function returns what an event of the log means to a subscriber, or None if nothing."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol
from uuid import UUID

from resolvers import orders
from resolvers.context import requires_check
from resolvers.events import EventType


class PostEventType(Enum):
    """Type of a post event."""

    CREATED = EventType.POST_CREATED.value
    UPDATED = EventType.POST_UPDATED.value
    PUBLISHED = EventType.POST_PUBLISHED.value
    ARCHIVED = EventType.POST_ARCHIVED.value
    DELETED = EventType.POST_DELETED.value
    RESTORED = EventType.POST_RESTORED.value
    LIKED = EventType.POST_LIKED.value
    UNLIKED = EventType.POST_UNLIKED.value
    COMMENTED = EventType.COMMENT_ADDED.value


POST_EVENT_TYPES = {type.value: type for type in PostEventType}


class LogEvent(Protocol):
    """An event of the log."""

    id: int
    type: str
    entity_id: UUID
    post_id: UUID | None
    at: datetime


@dataclass(frozen=True, slots=True)
class PostEvent:
    """An event of a post. `post` is the post's id; the post is read as the subscriber may see it."""

    id: str
    type: PostEventType
    post_id: UUID
    post: UUID
    at: datetime


def post_events(
    event: LogEvent, post_id: UUID | None = None, types: list[PostEventType] | None = None
) -> PostEvent | None:
    """Events of all posts or of one post. To continue after an interruption, pass the last event's id as `since`."""
    type = POST_EVENT_TYPES.get(event.type)
    if type is None or event.post_id is None:
        return None
    if event.post_id != (post_id or event.post_id) or (types is not None and type not in types):
        return None
    return PostEvent(str(event.id), type, event.post_id, event.post_id, event.at)


def comment_added(event: LogEvent, post_id: UUID) -> UUID | None:
    """New comments on a post."""
    return event.entity_id if event.type == EventType.COMMENT_ADDED and event.post_id == post_id else None


@requires_check(orders.check_own)
def order_updated(event: LogEvent, id: UUID) -> UUID | None:
    """Changes of one of the viewer's orders."""
    return event.entity_id if event.type == EventType.ORDER_UPDATED and event.entity_id == id else None
