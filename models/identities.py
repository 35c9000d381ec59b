from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field

from models.base import Entity, UTCDateTime, utcnow


class Identity(Entity, table=True):
    """A user of an external token issuer, linked to an account."""

    __tablename__ = "identities"
    __table_args__ = (UniqueConstraint("issuer", "subject"),)

    user_id: UUID = Field(foreign_key="users.id", index=True)
    issuer: str
    subject: str
    """The issuer's unique id of the user (`sub`)."""
    email: str | None = None
    """The address that the issuer states, in lower case; it may differ from the account's."""
    created_at: datetime = Field(default_factory=utcnow, sa_type=UTCDateTime)


Index("identities_by_email", Identity.issuer, Identity.email)
