from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, LargeBinary
from sqlmodel import Field

from models.base import Row, UTCDateTime, utcnow


class IdempotencyKey(Row, table=True):
    """A request that its sender named, so that sending it again does nothing again."""

    __tablename__ = "idempotency_keys"

    viewer_id: UUID = Field(primary_key=True, foreign_key="users.id")
    key: str = Field(primary_key=True)
    fingerprint: str
    """SHA-256 of what was asked, in hexadecimal."""
    changed: list[str] = Field(default_factory=list, sa_type=JSON)
    """The ids of what it changed, written along with the change."""
    status: int | None = None
    """Its answer's, once there is one: a server that dies in between leaves it empty."""
    headers: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    body: bytes | None = Field(default=None, sa_type=LargeBinary)
    created_at: datetime = Field(default_factory=utcnow, sa_type=UTCDateTime, index=True)
