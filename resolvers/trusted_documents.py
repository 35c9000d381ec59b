"""Trusted documents: GraphQL documents that an operator has registered under ids."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from models import Database, Document, DocumentId, DocumentUse, utcnow
from models.database.upserts import insert_ignore
from models.errors import Conflict, NotFound

BATCH_SIZE = 100
"""Rows that one statement inserts."""


@dataclass(frozen=True, slots=True)
class TrustedDocument:
    """A document and the id by which clients refer to it."""

    id: str
    sha256: str
    body: str
    operation: str | None


@dataclass(frozen=True, slots=True)
class DocumentInfo:
    """A trusted document as listed for operators."""

    id: str
    operation: str | None
    added_at: datetime
    last_used_at: datetime | None
    """None if no client has used it."""


async def get_trusted(db: Database, key: str) -> str | None:
    """Return the text of a trusted document by its id or else by its SHA-256; None if there is none."""
    query = select(Document.body).join(DocumentId, DocumentId.sha256 == Document.sha256)
    query = query.where(or_(DocumentId.id == key, Document.sha256 == key))
    async with db.reading() as session:
        return await session.scalar(query.order_by(DocumentId.id != key).limit(1))


async def add(db: Database, documents: Collection[TrustedDocument]) -> int:
    """Register documents, all or none. Return the number of new ids."""
    async with db.writing() as session:
        existing = dict((await session.execute(select(DocumentId.id, DocumentId.sha256))).all())
        if taken := [row.id for row in documents if existing.get(row.id, row.sha256) != row.sha256]:
            raise Conflict("\n".join(f"{id}: another document has this id; remove it first" for id in taken))
        new = [row for row in documents if row.id not in existing]
        for start in range(0, len(new), BATCH_SIZE):
            batch = new[start : start + BATCH_SIZE]
            texts = [Document(sha256=row.sha256, body=row.body, operation=row.operation) for row in batch]
            await insert_ignore(session, *texts)
            await insert_ignore(session, *(DocumentId(id=row.id, sha256=row.sha256) for row in batch))
    return len(new)


async def remove(db: Database, ids: Collection[str]) -> None:
    """Remove ids, all or none. Documents that were used stay stored, untrusted, with their usage."""
    async with db.writing() as session:
        existing = set(await session.scalars(select(DocumentId.id).where(DocumentId.id.in_(ids))))
        if missing := [id for id in ids if id not in existing]:
            raise NotFound("\n".join(f"{id}: no document has this id" for id in missing))
        await session.execute(delete(DocumentId).where(DocumentId.id.in_(ids)))
        await delete_unused_texts(session)


async def delete_unused_texts(session: AsyncSession) -> None:
    """Delete documents that are neither trusted nor used."""
    trusted = exists().where(DocumentId.sha256 == Document.sha256)
    used = exists().where(DocumentUse.sha256 == Document.sha256)
    await session.execute(delete(Document).where(~trusted, ~used))


async def list_documents(db: Database) -> list[DocumentInfo]:
    """Return the trusted documents, sorted by id."""
    last = select(func.max(DocumentUse.last_used_at)).where(DocumentUse.sha256 == Document.sha256).scalar_subquery()
    columns = DocumentId.id, Document.operation, DocumentId.added_at, last
    query = select(*columns).join(Document, Document.sha256 == DocumentId.sha256).order_by(DocumentId.id)
    async with db.reading() as session:
        return [DocumentInfo(*row) for row in await session.execute(query)]


async def list_unused(db: Database, since: timedelta) -> list[DocumentInfo]:
    """Return the trusted documents that were neither added nor used in a period until now."""
    start = utcnow() - since
    return [info for info in await list_documents(db) if max(info.added_at, info.last_used_at or info.added_at) < start]
