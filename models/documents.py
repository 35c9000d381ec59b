from datetime import datetime

from sqlalchemy import BigInteger
from sqlmodel import Field

from models.base import Row, UTCDateTime, utcnow


class Document(Row, table=True):
    """The text of a GraphQL document: a trusted one, or one that the ledger has met."""

    __tablename__ = "documents"

    sha256: str = Field(primary_key=True)
    """Of the text, in hexadecimal."""
    body: str
    operation: str | None = None
    """What its operation is called, if it has a name, and just one."""


class DocumentId(Row, table=True):
    """What clients ask for a document by. As long as it has one, the document is trusted."""

    __tablename__ = "document_ids"

    id: str = Field(primary_key=True)
    sha256: str = Field(foreign_key="documents.sha256", index=True)
    added_at: datetime = Field(default_factory=utcnow, sa_type=UTCDateTime)


class DocumentUse(Row, table=True):
    """A line of the ledger: that a version of a client asked for a document, how often, and when last."""

    __tablename__ = "document_uses"

    sha256: str = Field(primary_key=True, foreign_key="documents.sha256")
    client_name: str = Field(primary_key=True)
    """As it says of itself; empty of one that says nothing."""
    client_version: str = Field(primary_key=True)
    times: int = Field(default=0, sa_type=BigInteger)
    last_used_at: datetime = Field(sa_type=UTCDateTime, index=True)
