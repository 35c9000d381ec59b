from datetime import datetime
from uuid import UUID

from sqlmodel import Field

from models.base import Entity, UTCDateTime, utcnow


class ApiKey(Entity, table=True):
    """What a machine shows instead of signing in. The key itself is kept nowhere."""

    __tablename__ = "api_keys"

    name: str
    """What it is for, as whoever made it says."""
    user_id: UUID = Field(foreign_key="users.id", index=True)
    """The account that it acts as."""
    key_hash: str = Field(unique=True)
    """SHA-256 of the key, in hexadecimal."""
    scopes: str
    """Names with commas between: `read`, or `read,write`."""
    created_at: datetime = Field(default_factory=utcnow, sa_type=UTCDateTime)
    expires_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    last_used_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    """To the minute or so."""
    revoked_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
