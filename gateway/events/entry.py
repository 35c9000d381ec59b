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
from models.events import CHANGED, START
from resolvers.events import Fact

NOBODY = UUID(int=0)
MOST_DIGITS = 25
"""More than any event's id has; what is cut short here is still beyond them all."""


@dataclass(frozen=True, slots=True)
class Audience:
    """Who may hear of something that belongs to an author, or to a buyer."""

    author: UUID | None = None
    everyone: bool = False
    its_author: bool = False
    admins: bool = False

    def includes(self, viewer: Viewer | None) -> bool:
        if self.everyone or viewer is None:
            return self.everyone
        return (self.its_author and viewer.id == self.author) or (self.admins and viewer.is_admin)


@dataclass(slots=True, weakref_slot=True)
class Sight:
    """Who may see a post or an order, as of the newest reading; all entries about it share this, the old ones too."""

    audience: Audience


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
    sight: Sight

    @property
    def audience(self) -> Audience:
        """Those who may see the post now and could then; what went from sight is told to who saw it go."""
        now = self.sight.audience
        everyone = self.hides or (now.everyone and self.was_public)
        return replace(now, everyone=everyone, its_author=now.its_author or self.is_deletion)

    @property
    def is_deletion(self) -> bool:
        return self.type == Fact.POST_DELETED

    @cached_property
    def frame(self) -> bytes:
        """The event as the feed says it, encoded once for all who hear it. (asyncpg has a UUID of its own.)"""
        return b"id: %d\ndata: %s\n\n" % (self.id, orjson.dumps(self.facts(), default=str))

    def facts(self) -> dict[str, Any]:
        said = {"id": self.id, "type": self.type, "postId": self.post_id, "actorId": self.actor_id, "at": wire(self.at)}
        if self.type.startswith("comment."):
            said["commentId"] = self.entity_id
        elif self.type == Fact.ORDER_UPDATED:
            said["orderId"] = self.entity_id
        return said


Sights: TypeAlias = MutableMapping[UUID, Sight]


def wire(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def entries_of(rows: Iterable[Row], known: Sights) -> list[Entry]:
    """Rows as `reading.beyond` gives them. What is known of other entries about the same things is brought up to date.

    What is written for servers is nobody else's business.
    """
    return [entry(row, known) for row in rows if row.type not in (CHANGED, START)]


def entry(row: Row, known: Sights) -> Entry:
    *event, author, everyone, its_author, admins, buyer = row
    if buyer:
        audience = Audience(buyer, its_author=True)
    else:
        audience = Audience(author, bool(everyone), bool(its_author), bool(admins)) if author else Audience()
    sight = known.setdefault(row.post_id or row.entity_id, Sight(audience))
    sight.audience = audience
    return Entry(*event, sight)


def event_id(name: str, value: Any) -> int | None:
    """The id of an event, as a client gives it back; empty text is none."""
    text = "" if value is None else str(value).strip()
    if text and not (text.isascii() and text.isdecimal()):
        raise ValidationError.of(**{name: "must be the id of an event"})
    return int(text[:MOST_DIGITS]) if text else None
