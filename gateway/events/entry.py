"""One event as followers meet it: what it says, and who may hear it."""

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
MOST_DIGITS = 25
"""More than any event's id has; what is cut short here is still beyond them all."""


@dataclass(frozen=True, slots=True)
class Visibility:
    """Who may hear of something that belongs to an author, or to a buyer."""

    author: UUID | None = None
    everyone: bool = False
    author_only: bool = False
    admins: bool = False

    def includes(self, viewer: Viewer | None) -> bool:
        if self.everyone or viewer is None:
            return self.everyone
        return (self.author_only and viewer.id == self.author) or (self.admins and viewer.is_admin)


@dataclass(slots=True, weakref_slot=True)
class SharedVisibility:
    """Who may see a post or an order, as of the newest reading; all entries about it share this, the old ones too."""

    audience: Visibility


@dataclass(frozen=True)
class Entry:
    """A settled event, and who may hear of it."""

    id: int
    type: str
    entity_id: UUID
    post_id: UUID | None
    actor_id: UUID | None
    at: datetime
    hides: bool
    was_public: bool
    sight: SharedVisibility

    @property
    def audience(self) -> Visibility:
        """Those who may see the post now and could then; what went from sight is told to who saw it go."""
        now = self.sight.audience
        everyone = self.hides or (now.everyone and self.was_public)
        return replace(now, everyone=everyone, author_only=now.author_only or self.is_deletion)

    @property
    def is_deletion(self) -> bool:
        return self.type == EventType.POST_DELETED

    @cached_property
    def frame(self) -> bytes:
        """The event as the feed says it, encoded once for all who hear it. (asyncpg has a UUID of its own.)"""
        return b"id: %d\ndata: %s\n\n" % (self.id, orjson.dumps(self.payload(), default=str))

    def payload(self) -> dict[str, Any]:
        said = {
            "id": self.id,
            "type": self.type,
            "postId": self.post_id,
            "actorId": self.actor_id,
            "at": format_timestamp(self.at),
        }
        if self.type.startswith("comment."):
            said["commentId"] = self.entity_id
        elif self.type == EventType.ORDER_UPDATED:
            said["orderId"] = self.entity_id
        return said


VisibilityMap: TypeAlias = MutableMapping[UUID, SharedVisibility]


def format_timestamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def build_entries(rows: Iterable[Row], known: VisibilityMap) -> list[Entry]:
    """Rows as `reading.beyond` gives them. What is known of other entries about the same things is brought up to date.

    What is written for servers is nobody else's business.
    """
    return [build_entry(row, known) for row in rows if row.type not in (BULK_CHANGE, PRUNED)]


def build_entry(row: Row, known: VisibilityMap) -> Entry:
    *event, author, everyone, its_author, admins, buyer = row
    if buyer:
        audience = Visibility(buyer, author_only=True)
    else:
        audience = Visibility(author, bool(everyone), bool(its_author), bool(admins)) if author else Visibility()
    sight = known.setdefault(row.post_id or row.entity_id, SharedVisibility(audience))
    sight.audience = audience
    return Entry(*event, sight)


def parse_event_id(name: str, value: Any) -> int | None:
    """The id of an event, as a client gives it back; empty text is none."""
    text = "" if value is None else str(value).strip()
    if text and not (text.isascii() and text.isdecimal()):
        raise ValidationError.for_fields(**{name: "must be the id of an event"})
    return int(text[:MOST_DIGITS]) if text else None
