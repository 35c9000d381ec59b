from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Integer
from sqlmodel import Field, SQLModel

from models.base import Moment, utcnow


class Event(SQLModel, table=True):
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
    at: datetime = Field(default_factory=utcnow, sa_type=Moment, index=True)
