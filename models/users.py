from datetime import datetime

from sqlalchemy import Enum
from sqlmodel import Field

from models.base import Entity, UTCDateTime, utcnow
from models.viewer import Role


class User(Entity, table=True):
    __tablename__ = "users"

    name: str
    email: str | None = Field(default=None, unique=True)
    """In lower case. Null for machines, and for external users whose address another account already has."""
    image: str | None = None
    role: Role = Field(default=Role.USER, sa_type=Enum(Role, native_enum=False, length=16))
    password_hash: str | None = None
    created_at: datetime = Field(default_factory=utcnow, sa_type=UTCDateTime)
