from datetime import datetime

from sqlalchemy import BigInteger
from sqlmodel import Field

from models.base import Row, UTCDateTime, utcnow


class Document(Row, table=True):
    """The text of a GraphQL document that is trusted or was used."""

    __tablename__ = "documents"

    sha256: str = Field(primary_key=True)
    """SHA-256 of the text, in hexadecimal."""
    body: str
    operation: str | None = None
    """The name of its operation, if it has a single operation with a name."""


class DocumentId(Row, table=True):
    """An id that clients send instead of a document. A document with an id is trusted."""

    __tablename__ = "document_ids"

    id: str = Field(primary_key=True)
    sha256: str = Field(foreign_key="documents.sha256", index=True)
    added_at: datetime = Field(default_factory=utcnow, sa_type=UTCDateTime)


class DocumentUse(Row, table=True):
    """The number of times that a version of a client has used a document, and the last time."""

    __tablename__ = "document_uses"

    sha256: str = Field(primary_key=True, foreign_key="documents.sha256")
    client_name: str = Field(primary_key=True)
    """As the client states it; empty if it does not."""
    client_version: str = Field(primary_key=True)
    times: int = Field(default=0, sa_type=BigInteger)
    last_used_at: datetime = Field(sa_type=UTCDateTime, index=True)
