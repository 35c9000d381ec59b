from datetime import datetime
from uuid import UUID

from sqlmodel import Field

from models.base import Entity, UTCDateTime, utcnow


class ApiKey(Entity, table=True):
    """A credential of a machine. Only a hash of the key is stored."""

    __tablename__ = "api_keys"

    name: str
    user_id: UUID = Field(foreign_key="users.id", index=True)
    """The account that the key acts as."""
    key_hash: str = Field(unique=True)
    """SHA-256 of the key, in hexadecimal."""
    scopes: str
    """Separated by commas: `read` or `read,write`."""
    created_at: datetime = Field(default_factory=utcnow, sa_type=UTCDateTime)
    expires_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    last_used_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    """Accurate to about a minute."""
    revoked_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
