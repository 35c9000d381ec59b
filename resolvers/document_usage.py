"""Usage of GraphQL documents: how often and when last each version of a client used each document.

Clients choose their own names, so the number of rows is limited. Beyond the limit, new clients are counted together.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from models import Database, Document, DocumentId, DocumentUse, utcnow
from models.database.upserts import insert_ignore, insert_or_increment
from resolvers.trusted_documents import delete_unused_texts

MAX_USAGE_ROWS = 20_000
MAX_UNTRUSTED_DOCUMENTS = 5_000
RETENTION = timedelta(days=180)
OTHER_CLIENTS = "(others)"


class UsageKey(NamedTuple):
    """A document and the client that used it."""

    sha256: str
    client_name: str
    client_version: str


class DocumentText(NamedTuple):
    """The text of a document and the name of its operation."""

    body: str
    operation: str | None


@dataclass(slots=True)
class UsageCount:
    """The number of uses and the time of the last one."""

    times: int
    last_used_at: datetime


@dataclass(frozen=True, slots=True)
class DocumentUsage:
    """A trusted or used document with its ids and uses."""

    sha256: str
    body: str
    operation: str | None
    ids: list[str]
    uses: list[DocumentUse]


async def record(db: Database, counts: Mapping[UsageKey, UsageCount], texts: Mapping[str, DocumentText]) -> None:
    """Add counts to the stored ones. `texts` has the documents by their SHA-256."""
    async with db.writing() as session:
        stored = await store_texts(session, texts)
        free = MAX_USAGE_ROWS - (await session.scalar(select(func.count()).select_from(DocumentUse)) or 0)
        existing = await existing_keys(session, stored)
        for key, count in sorted(counts.items()):
            if key.sha256 not in stored:
                continue
            if key not in existing:
                free -= 1
                key = key if free >= 0 else UsageKey(key.sha256, OTHER_CLIENTS, "")
            row = DocumentUse(**key._asdict(), times=count.times, last_used_at=count.last_used_at)
            await insert_or_increment(session, row, increment="times", replace="last_used_at")


async def store_texts(session: AsyncSession, texts: Mapping[str, DocumentText]) -> set[str]:
    """Store new documents up to the limit. Return the SHA-256 of those that are stored."""
    existing = set(await session.scalars(select(Document.sha256).where(Document.sha256.in_(texts))))
    free = MAX_UNTRUSTED_DOCUMENTS - (await session.scalar(select(func.count()).where(is_untrusted())) or 0)
    new = sorted(texts.keys() - existing)[: max(free, 0)]
    if new:
        await insert_ignore(session, *(Document(sha256=sha256, **texts[sha256]._asdict()) for sha256 in new))
    return existing | set(new)


async def existing_keys(session: AsyncSession, documents: Collection[str]) -> set[UsageKey]:
    columns = DocumentUse.sha256, DocumentUse.client_name, DocumentUse.client_version
    return {
        UsageKey(*row) for row in (await session.execute(select(*columns).where(DocumentUse.sha256.in_(documents))))
    }


def is_untrusted() -> Any:
    return Document.sha256.not_in(select(DocumentId.sha256))


async def delete_old(db: Database) -> None:
    """Delete uses older than `RETENTION`, and documents that are neither trusted nor used."""
    async with db.writing() as session:
        await session.execute(delete(DocumentUse).where(DocumentUse.last_used_at < utcnow() - RETENTION))
        await delete_unused_texts(session)


async def list_usage(db: Database) -> list[DocumentUsage]:
    """Return every trusted or used document, with its uses from the latest to the earliest."""
    async with db.reading() as session:
        documents = list(await session.scalars(select(Document).order_by(Document.operation, Document.sha256)))
        ids = list(await session.scalars(select(DocumentId).order_by(DocumentId.id)))
        uses = list(await session.scalars(select(DocumentUse).order_by(DocumentUse.last_used_at.desc())))
    usage = {row.sha256: DocumentUsage(row.sha256, row.body, row.operation, [], []) for row in documents}
    for id in ids:
        usage[id.sha256].ids.append(id.id)
    for use in uses:
        usage[use.sha256].uses.append(use)
    return list(usage.values())
