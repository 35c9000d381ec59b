"""The ledger: which version of which client asked for which document, how often, and when last.

What clients say of themselves is theirs to invent, so it is bounded: beyond so many lines, newcomers share one.
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

MOST_LINES = 20_000
MOST_TEXTS = 5_000
"""Documents that are kept though they are not trusted."""
RETENTION = timedelta(days=180)
OTHER_CLIENTS = "(others)"


class UsageKey(NamedTuple):
    """What was asked for, and by whom."""

    sha256: str
    client_name: str
    client_version: str


class DocumentText(NamedTuple):
    """A document as it was asked for."""

    body: str
    operation: str | None


@dataclass(slots=True)
class UsageCount:
    """How often, and when last."""

    times: int
    last_used_at: datetime


@dataclass(frozen=True, slots=True)
class DocumentUsage:
    """A document of the ledger, or a trusted one: under which ids, and by whom."""

    sha256: str
    body: str
    operation: str | None
    ids: list[str]
    uses: list[DocumentUse]


async def record(db: Database, lines: Mapping[UsageKey, UsageCount], texts: Mapping[str, DocumentText]) -> None:
    """Add to the ledger. `texts` has those of the lines' documents."""
    async with db.writing() as session:
        known = await store_texts(session, texts)
        room = MOST_LINES - (await session.scalar(select(func.count()).select_from(DocumentUse)) or 0)
        there = await existing_keys(session, known)
        for line, times in sorted(lines.items()):
            if line.sha256 not in known:
                continue
            if line not in there:
                room -= 1
                line = line if room >= 0 else UsageKey(line.sha256, OTHER_CLIENTS, "")
            row = DocumentUse(**line._asdict(), times=times.times, last_used_at=times.last_used_at)
            await insert_or_increment(session, row, increment="times", replace="last_used_at")


async def store_texts(session: AsyncSession, texts: Mapping[str, DocumentText]) -> set[str]:
    """Keep the texts that are new, as far as there is room; those that are there now."""
    known = set(await session.scalars(select(Document.sha256).where(Document.sha256.in_(texts))))
    room = MOST_TEXTS - (await session.scalar(select(func.count()).where(is_untrusted())) or 0)
    new = sorted(texts.keys() - known)[: max(room, 0)]
    if new:
        await insert_ignore(session, *(Document(sha256=sha256, **texts[sha256]._asdict()) for sha256 in new))
    return known | set(new)


async def existing_keys(session: AsyncSession, documents: Collection[str]) -> set[UsageKey]:
    columns = DocumentUse.sha256, DocumentUse.client_name, DocumentUse.client_version
    return {
        UsageKey(*row) for row in (await session.execute(select(*columns).where(DocumentUse.sha256.in_(documents))))
    }


def is_untrusted() -> Any:
    return Document.sha256.not_in(select(DocumentId.sha256))


async def delete_old(db: Database) -> None:
    """Drop what nobody has asked for in a long time."""
    async with db.writing() as session:
        await session.execute(delete(DocumentUse).where(DocumentUse.last_used_at < utcnow() - RETENTION))
        await delete_unused_texts(session)


async def list_usage(db: Database) -> list[DocumentUsage]:
    """Every document that is trusted or was asked for, with those who asked, the latest first."""
    async with db.reading() as session:
        documents = list(await session.scalars(select(Document).order_by(Document.operation, Document.sha256)))
        ids = list(await session.scalars(select(DocumentId).order_by(DocumentId.id)))
        uses = list(await session.scalars(select(DocumentUse).order_by(DocumentUse.last_used_at.desc())))
    asked = {one.sha256: DocumentUsage(one.sha256, one.body, one.operation, [], []) for one in documents}
    for id in ids:
        asked[id.sha256].ids.append(id.id)
    for use in uses:
        asked[use.sha256].uses.append(use)
    return list(asked.values())
