"""What can be followed: of each fact that comes, what it is to those who listen, if it is anything to them."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol
from uuid import UUID

from resolvers import orders
from resolvers.context import requires_check
from resolvers.events import EventType


class PostEventType(Enum):
    """What can happen to a post."""

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
    """A fact, as the log tells it."""

    id: int
    type: str
    entity_id: UUID
    post_id: UUID | None
    at: datetime


@dataclass(frozen=True, slots=True)
class PostEvent:
    """Something that happened to a post. The post is named here, and read as whoever listens may see it."""

    id: str
    type: PostEventType
    post_id: UUID
    post: UUID
    at: datetime


def post_events(
    event: LogEvent, post_id: UUID | None = None, types: list[PostEventType] | None = None
) -> PostEvent | None:
    """What happens to posts, or to one of them. Give the last event's id as `since` to go on after it."""
    type = POST_EVENT_TYPES.get(event.type)
    if type is None or event.post_id is None:
        return None
    if event.post_id != (post_id or event.post_id) or (types is not None and type not in types):
        return None
    return PostEvent(str(event.id), type, event.post_id, event.post_id, event.at)


def comment_added(event: LogEvent, post_id: UUID) -> UUID | None:
    """What is said about a post from now on."""
    return event.entity_id if event.type == EventType.COMMENT_ADDED and event.post_id == post_id else None


@requires_check(orders.check_own)
def order_updated(event: LogEvent, id: UUID) -> UUID | None:
    """What becomes of one of the viewer's own orders from now on."""
    return event.entity_id if event.type == EventType.ORDER_UPDATED and event.entity_id == id else None
