from datetime import datetime
from uuid import UUID

from sqlmodel import Field

from models.base import Entity, UTCDateTime, utcnow


class RefreshToken(Entity, table=True):
    """A refresh token. The tokens that replaced one another form a family, which is a login session (`sid`)."""

    __tablename__ = "refresh_tokens"

    user_id: UUID = Field(foreign_key="users.id", index=True)
    family_id: UUID = Field(index=True)
    token_hash: str = Field(unique=True)
    """SHA-256 of the token, in hexadecimal: a reader of the table cannot log in with it."""
    created_at: datetime = Field(default_factory=utcnow, sa_type=UTCDateTime)
    expires_at: datetime = Field(sa_type=UTCDateTime, index=True)
    used_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    """The time when it was exchanged for its successor. A later use ends the session."""
    revoked_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
