from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, LargeBinary
from sqlmodel import Field

from models.base import Row, UTCDateTime, utcnow


class IdempotencyKey(Row, table=True):
    """A write with an `Idempotency-Key`, which takes effect once however often it is sent."""

    __tablename__ = "idempotency_keys"

    viewer_id: UUID = Field(primary_key=True, foreign_key="users.id")
    key: str = Field(primary_key=True)
    fingerprint: str
    """SHA-256 of the request, in hexadecimal."""
    changed: list[str] = Field(default_factory=list, sa_type=JSON)
    """The ids of the changed objects, written in the transaction of the change."""
    status: int | None = None
    """The status of the response; null until the response is stored."""
    headers: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    body: bytes | None = Field(default=None, sa_type=LargeBinary)
    created_at: datetime = Field(default_factory=utcnow, sa_type=UTCDateTime, index=True)
