"""Jobs that delete unattached uploads, orphaned files, expired tokens and old events.

A file is stored before its row is inserted and removed after its row is deleted, so a crash may leave a file without a
row, never the reverse. Files and unattached uploads are kept for a day, which is longer than any upload takes.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Select, delete, func, or_, select, update

from models import Database, Event, RefreshToken, Upload, utcnow
from models.events import PRUNED
from resolvers.images.thumbnails import all_names
from resolvers.ports import Storage
from resolvers.uploads import STORED_NAME, is_attached

GRACE_PERIOD = timedelta(hours=24)
FILE_BATCH_SIZE = 100
FILE_NAME = re.compile(rf"(?:\d+/)?({STORED_NAME.pattern})")
"""Names that this service gives. Other files in the same storage are not deleted."""
TOKEN_BATCH_SIZE = 1_000
TOKEN_GRACE_PERIOD = timedelta(days=1)
"""Time that an expired token is kept, in case another server's clock is behind."""
EVENT_BATCH_SIZE = 10_000
"""Events that one transaction deletes: on SQLite, other writers wait meanwhile."""


@dataclass(frozen=True, slots=True)
class CleanupResult:
    """The numbers of deleted uploads and of deleted files without an upload."""

    uploads: int
    files: int


async def delete_orphans(db: Database, storage: Storage) -> CleanupResult:
    """Delete uploads that have been unattached for a day, and files that belong to no upload."""
    before = utcnow() - GRACE_PERIOD
    uploads = await delete_unattached_uploads(db, storage, before)
    files = await delete_orphaned_files(db, storage, before)
    await storage.delete_incomplete(before)
    return CleanupResult(uploads, files)


async def delete_unattached_uploads(db: Database, storage: Storage, before: datetime) -> int:
    count = 0
    while names := await delete_unattached_rows(db, before):
        await storage.remove([filename for name in names for filename in all_names(name)])
        count += len(names)
    return count


async def delete_unattached_rows(db: Database, before: datetime) -> Sequence[str]:
    """Delete a batch of uploads that no post has. Return the names of their files.

    The rows are locked and then checked again: a post that attaches one at the same time wins, or does not find it.
    """
    unattached = select(Upload.id).where(Upload.unattached_since < before, ~is_attached()).limit(FILE_BATCH_SIZE)
    async with db.writing() as session:
        ids = list(await session.scalars(unattached.with_for_update(skip_locked=True)))
        deletion = delete(Upload).where(Upload.id.in_(ids), ~is_attached()).returning(Upload.name)
        return list(await session.scalars(deletion)) if ids else []


async def delete_orphaned_files(db: Database, storage: Storage, before: datetime) -> int:
    count, batch = 0, []
    async for stored in storage.list_files():
        if stored.modified < before and FILE_NAME.fullmatch(stored.name):
            batch.append(stored.name)
        if len(batch) == FILE_BATCH_SIZE:
            count += await delete_orphaned_batch(db, storage, batch)
            batch = []
    return count + await delete_orphaned_batch(db, storage, batch)


async def delete_orphaned_batch(db: Database, storage: Storage, names: Sequence[str]) -> int:
    """Delete those of some files that belong to no upload. Return their number."""
    upload_names = {name: FILE_NAME.fullmatch(name)[1] for name in names}
    async with db.reading() as session:
        existing = set(await session.scalars(select(Upload.name).where(Upload.name.in_(set(upload_names.values())))))
    orphans = [name for name, upload_name in upload_names.items() if upload_name not in existing]
    await storage.remove(orphans)
    return len(orphans)


async def delete_expired_tokens(db: Database) -> int:
    """Delete expired refresh tokens. Return their number.

    Used tokens are kept until they expire, because a second use of one shows that it was stolen.
    """
    count = deleted = await delete_expired_token_batch(db)
    while deleted == TOKEN_BATCH_SIZE:
        count += (deleted := await delete_expired_token_batch(db))
    return count


async def delete_expired_token_batch(db: Database) -> int:
    """Delete a batch of expired tokens, except those that another transaction has locked."""
    expired = select(RefreshToken.id).where(RefreshToken.expires_at < utcnow() - TOKEN_GRACE_PERIOD)
    page = expired.order_by(RefreshToken.expires_at).limit(TOKEN_BATCH_SIZE).with_for_update(skip_locked=True)
    async with db.writing() as session:
        ids = (await session.scalars(page)).all()
        if ids:
            await session.execute(delete(RefreshToken).where(RefreshToken.id.in_(ids)))
    return len(ids)


async def prune_events(db: Database, older_than: timedelta) -> int:
    """Delete old events. Return their number. The newest of them stays, to mark the start of the log."""
    query, count, is_done = oldest_batch(utcnow() - older_than), 0, False
    while not is_done:
        async with db.writing() as session:
            last, old = (await session.execute(query)).one()
            if last is not None:
                count += (await session.execute(delete(Event).where(Event.id < last))).rowcount
                await session.execute(update(Event).where(Event.id == last).values(type=PRUNED))
        is_done = old <= EVENT_BATCH_SIZE
    return count


def oldest_batch(before: datetime) -> Select[tuple[int | None, int]]:
    """Select the last id and the number of the old events at the start of the log, at most one more than a batch.

    Events after the first recent one are not counted as old: the clock that dated them may be slow. The batch is read
    by the primary key, however many events are old.
    """
    batch = select(Event.id, Event.at).order_by(Event.id).limit(EVENT_BATCH_SIZE + 1).cte("batch")
    first_recent = select(func.min(batch.c.id)).where(batch.c.at >= before).scalar_subquery()
    is_old = or_(first_recent.is_(None), batch.c.id < first_recent)
    return select(func.max(batch.c.id), func.count()).select_from(batch).where(is_old)
