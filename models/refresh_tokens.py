from datetime import datetime
from uuid import UUID

from sqlmodel import Field

from models.base import Entity, UTCDateTime, utcnow


class RefreshToken(Entity, table=True):
    """One of a family of tokens, each of which replaced the one before; a family is a session (`sid`)."""

    __tablename__ = "refresh_tokens"

    user_id: UUID = Field(foreign_key="users.id", index=True)
    family_id: UUID = Field(index=True)
    token_hash: str = Field(unique=True)
    """SHA-256 of the token, in hexadecimal: who reads the table cannot sign in with it."""
    created_at: datetime = Field(default_factory=utcnow, sa_type=UTCDateTime)
    expires_at: datetime = Field(sa_type=UTCDateTime, index=True)
    used_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    """When it was exchanged for its successor; used again later, it ends the family."""
    revoked_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
