from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Integer, false, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field

from models.base import Row, UTCDateTime, utcnow


class Event(Row, table=True):
    """An entry of the event log, which feeds, subscriptions, live queries and caches follow."""

    __tablename__ = "events"
    __table_args__ = {"sqlite_autoincrement": True}

    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger().with_variant(Integer, "sqlite"))
    type: str
    """Such as `post.published`."""
    entity_id: UUID
    """The id of the post, comment or order that changed."""
    post_id: UUID | None = Field(default=None)
    actor_id: UUID | None = Field(default=None)
    hides_post: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    """True if the event made a public post invisible; subscribers who could see it are still notified."""
    was_public: bool = Field(default=True, sa_column_kwargs={"server_default": true()})
    """True if the post was public before or after the event. Events of drafts are visible to their authors only."""
    at: datetime = Field(default_factory=utcnow, sa_type=UTCDateTime, index=True)


PRUNED = "log.start"
"""The type of the row that pruning leaves at the start of the log."""

BULK_CHANGE = "data.changed"
"""The type of a row that only invalidates the servers' caches, after a change that no other event describes."""


def add_event(session: AsyncSession, event: Event) -> None:
    """Write an event at the end of the transaction."""
    session.info["events"].append(event)


def invalidate_all(session: AsyncSession) -> None:
    """Invalidate all caches of all servers, after a change that no other event describes."""
    add_event(session, Event(type=BULK_CHANGE, entity_id=UUID(int=0), was_public=False))
