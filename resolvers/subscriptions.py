"""What can be followed: of each fact that comes, what it is to those who listen, if it is anything to them."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol
from uuid import UUID

from resolvers import orders
from resolvers.context import admitted_by
from resolvers.events import Fact


class PostEventType(Enum):
    """What can happen to a post."""

    CREATED = Fact.POST_CREATED.value
    UPDATED = Fact.POST_UPDATED.value
    PUBLISHED = Fact.POST_PUBLISHED.value
    ARCHIVED = Fact.POST_ARCHIVED.value
    DELETED = Fact.POST_DELETED.value
    RESTORED = Fact.POST_RESTORED.value
    LIKED = Fact.POST_LIKED.value
    UNLIKED = Fact.POST_UNLIKED.value
    COMMENTED = Fact.COMMENT_ADDED.value


OF_FACT = {type.value: type for type in PostEventType}


class Happened(Protocol):
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
    event: Happened, post_id: UUID | None = None, types: list[PostEventType] | None = None
) -> PostEvent | None:
    """What happens to posts, or to one of them. Give the last event's id as `since` to go on after it."""
    type = OF_FACT.get(event.type)
    if type is None or event.post_id is None:
        return None
    if event.post_id != (post_id or event.post_id) or (types is not None and type not in types):
        return None
    return PostEvent(str(event.id), type, event.post_id, event.post_id, event.at)


def comment_added(event: Happened, post_id: UUID) -> UUID | None:
    """What is said about a post from now on."""
    return event.entity_id if event.type == Fact.COMMENT_ADDED and event.post_id == post_id else None


@admitted_by(orders.own)
def order_updated(event: Happened, id: UUID) -> UUID | None:
    """What becomes of one of the viewer's own orders from now on."""
    return event.entity_id if event.type == Fact.ORDER_UPDATED and event.entity_id == id else None
