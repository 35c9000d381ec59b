from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field

from models.base import Entity, UTCDateTime, utcnow


class Identity(Entity, table=True):
    """Somebody as another issuer of tokens knows them, and the account that they have here."""

    __tablename__ = "identities"
    __table_args__ = (UniqueConstraint("issuer", "subject"),)

    user_id: UUID = Field(foreign_key="users.id", index=True)
    issuer: str
    subject: str
    """The issuer's own name for them, which it gives to nobody else."""
    email: str | None = None
    """What the issuer said their address is, in lower case; it need not be the account's."""
    created_at: datetime = Field(default_factory=utcnow, sa_type=UTCDateTime)


Index("identities_by_email", Identity.issuer, Identity.email)
