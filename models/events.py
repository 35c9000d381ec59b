from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Integer, false, true
from sqlmodel import Field

from models.base import Row, UTCDateTime, utcnow
from models.database.transaction import Transaction


class Event(Row, table=True):
    """A committed fact. Everything live comes from here."""

    __tablename__ = "events"
    __table_args__ = {"sqlite_autoincrement": True}

    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger().with_variant(Integer, "sqlite"))
    type: str
    """Such as `post.published`."""
    entity_id: UUID
    """What it is about: a post, a comment, an order."""
    post_id: UUID | None = Field(default=None)
    actor_id: UUID | None = Field(default=None)
    hides_post: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    """Whether it took the post from everyone's sight: who could see it until then is told that much."""
    was_public: bool = Field(default=True, sa_column_kwargs={"server_default": true()})
    """Whether everyone could see the post just before or just after it. What happens to a draft is its author's."""
    at: datetime = Field(default_factory=utcnow, sa_type=UTCDateTime, index=True)


PRUNED = "log.start"
"""The type of the row that pruning leaves: the log was kept from there on, and reaches back no further."""

BULK_CHANGE = "data.changed"
"""The type of a row that tells nobody anything, but servers to forget what they know: rows were written in bulk, or are
of a kind that no other event is about."""


def add_event(session: Transaction, event: Event) -> None:
    """Have an event written at the end of the transaction."""
    session.events.append(event)


def invalidate_all(session: Transaction) -> None:
    """Have servers forget whatever they know, for changes that no other event tells of."""
    add_event(session, Event(type=BULK_CHANGE, entity_id=UUID(int=0), was_public=False))


async def flush_events(session: Transaction) -> list[Event]:
    """Write what was put aside, and say what it was.

    An id is drawn as late as can be, so that ids and commits are in nearly one order.
    """
    for event in session.events:
        await session.insert(event)
    return session.events
