"""Entries of the event log: an event, its visibility and its server-sent frame."""

from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any, TypeAlias
from uuid import UUID

import orjson
from sqlalchemy import Row

from models import Viewer
from models.errors import ValidationError
from models.events import BULK_CHANGE, PRUNED
from resolvers.events import EventType

NIL_UUID = UUID(int=0)
MAX_EVENT_ID_DIGITS = 25
"""More digits than any event's id has. A longer number is truncated and is still greater than every id."""


@dataclass(frozen=True, slots=True)
class Visibility:
    """The viewers who may see a post or an order. Its owner is the author or the buyer."""

    owner_id: UUID | None = None
    everyone: bool = False
    owner: bool = False
    admins: bool = False

    def includes(self, viewer: Viewer | None) -> bool:
        if self.everyone or viewer is None:
            return self.everyone
        return (self.owner and viewer.id == self.owner_id) or (self.admins and viewer.is_admin)


@dataclass(slots=True, weakref_slot=True)
class SharedVisibility:
    """The latest known visibility of a post or an order. All its entries share the object, so old ones follow it."""

    current: Visibility


VisibilityMap: TypeAlias = MutableMapping[UUID, SharedVisibility]
"""The visibility of posts and orders by their ids."""


@dataclass(frozen=True)
class Entry:
    """An event whose place in the order of ids is final."""

    id: int
    type: str
    entity_id: UUID
    post_id: UUID | None
    actor_id: UUID | None
    at: datetime
    hides_post: bool
    was_public: bool
    shared_visibility: SharedVisibility

    @property
    def visibility(self) -> Visibility:
        """The viewers who may see the post now and could at the time of the event.

        An event that hides the post is for everyone: those who saw the post must learn that it is gone.
        """
        current = self.shared_visibility.current
        everyone = self.hides_post or (current.everyone and self.was_public)
        return replace(current, everyone=everyone, owner=current.owner or self.is_deletion)

    @property
    def is_deletion(self) -> bool:
        return self.type == EventType.POST_DELETED

    @cached_property
    def frame(self) -> bytes:
        """The event as a server-sent event, serialized once for all subscribers."""
        # `default=str`: asyncpg returns a UUID class of its own
        return b"id: %d\ndata: %s\n\n" % (self.id, orjson.dumps(self.payload, default=str))

    @property
    def payload(self) -> dict[str, Any]:
        payload = {
            "id": self.id,
            "type": self.type,
            "postId": self.post_id,
            "actorId": self.actor_id,
            "at": format_timestamp(self.at),
        }
        if self.type.startswith("comment."):
            payload["commentId"] = self.entity_id
        elif self.type == EventType.ORDER_UPDATED:
            payload["orderId"] = self.entity_id
        return payload


def format_timestamp(timestamp: datetime) -> str:
    return timestamp.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def build_entries(rows: Iterable[Row], visibilities: VisibilityMap) -> list[Entry]:
    """Build entries from rows of `queries.fetch_events_after`, and update the visibility that older entries share.

    Internal events, which only servers use, are left out.
    """
    return [build_entry(row, visibilities) for row in rows if row.type not in (BULK_CHANGE, PRUNED)]


def build_entry(row: Row, visibilities: VisibilityMap) -> Entry:
    *event, author_id, everyone, author, admins, buyer_id = row
    if buyer_id:
        visibility = Visibility(buyer_id, owner=True)
    else:
        visibility = Visibility(author_id, bool(everyone), bool(author), bool(admins)) if author_id else Visibility()
    shared = visibilities.setdefault(row.post_id or row.entity_id, SharedVisibility(visibility))
    shared.current = visibility
    return Entry(*event, shared)


def parse_event_id(name: str, value: Any) -> int | None:
    """Return the event id that a client sent in the field or header `name`; None if it is empty."""
    text = "" if value is None else str(value).strip()
    if text and not (text.isascii() and text.isdecimal()):
        raise ValidationError.for_fields(**{name: "must be the id of an event"})
    return int(text[:MAX_EVENT_ID_DIGITS]) if text else None
