"""Trusted documents: those that an operator added, each under the id that clients ask for it by."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Select, delete, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from models import Database, Document, DocumentId, DocumentUse, utcnow
from models.database.upserts import insert_ignore
from models.errors import Conflict, NotFound

AT_ONCE = 100
"""Rows that one statement writes."""


@dataclass(frozen=True, slots=True)
class TrustedDocument:
    """A document and the id that it is to be asked for by."""

    id: str
    sha256: str
    body: str
    operation: str | None


@dataclass(frozen=True, slots=True)
class DocumentInfo:
    """A trusted document as operators look at it."""

    id: str
    operation: str | None
    added_at: datetime
    last_used_at: datetime | None
    """By any client; None of one that nobody has asked for."""


async def get_trusted(db: Database, key: str) -> str | None:
    """The text of a trusted document, by its id or else by the SHA-256 of its text."""
    named = select(Document.body).join(DocumentId, DocumentId.sha256 == Document.sha256)
    found = named.where(or_(DocumentId.id == key, Document.sha256 == key))
    async with db.reading() as session:
        return await session.scalar(found.order_by(DocumentId.id != key).limit(1))


async def add(db: Database, documents: Collection[TrustedDocument]) -> int:
    """Trust documents, all of them or none; says how many were not trusted under their id before."""
    async with db.writing() as session:
        known = dict((await session.execute(select(DocumentId.id, DocumentId.sha256))).all())
        if taken := [one.id for one in documents if known.get(one.id, one.sha256) != one.sha256]:
            raise Conflict("\n".join(f"{id}: stands for another document already; remove it first" for id in taken))
        new = [one for one in documents if one.id not in known]
        for some in batches(new):
            texts = [Document(sha256=one.sha256, body=one.body, operation=one.operation) for one in some]
            await insert_ignore(session, *texts)
            await insert_ignore(session, *(DocumentId(id=one.id, sha256=one.sha256) for one in some))
    return len(new)


async def remove(db: Database, ids: Collection[str]) -> None:
    """Trust documents no longer, all of these or none. What the ledger says of them stays."""
    async with db.writing() as session:
        known = set(await session.scalars(select(DocumentId.id).where(DocumentId.id.in_(ids))))
        if unknown := [id for id in ids if id not in known]:
            raise NotFound("\n".join(f"{id}: no document has this id" for id in unknown))
        await session.execute(delete(DocumentId).where(DocumentId.id.in_(ids)))
        await delete_unused_texts(session)


async def delete_unused_texts(session: AsyncSession) -> None:
    """A text is kept as long as it is trusted, or stands in the ledger."""
    trusted = exists().where(DocumentId.sha256 == Document.sha256)
    used = exists().where(DocumentUse.sha256 == Document.sha256)
    await session.execute(delete(Document).where(~trusted, ~used))


async def list_documents(db: Database) -> list[DocumentInfo]:
    """The trusted documents, by id."""
    async with db.reading() as session:
        return [DocumentInfo(*row) for row in await session.execute(documents_query())]


async def unused(db: Database, since: timedelta) -> list[DocumentInfo]:
    """Those that nobody asked for in so long, though they were there."""
    begin = utcnow() - since
    return [one for one in await list_documents(db) if max(one.added_at, one.last_used_at or one.added_at) < begin]


def documents_query() -> Select:
    last = select(func.max(DocumentUse.last_used_at)).where(DocumentUse.sha256 == Document.sha256).scalar_subquery()
    columns = DocumentId.id, Document.operation, DocumentId.added_at, last
    return select(*columns).join(Document, Document.sha256 == DocumentId.sha256).order_by(DocumentId.id)


def batches(rows: list[TrustedDocument]) -> Iterable[list[TrustedDocument]]:
    return (rows[start : start + AT_ONCE] for start in range(0, len(rows), AT_ONCE))
