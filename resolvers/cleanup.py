"""What nobody needs any more, and what a crash left behind, is swept away.

A row is written after its file and goes before it, so a crash may leave a file without a row, and never the reverse.
Both are let be for a day: no upload that is under way takes as long.
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
"""Names that we give: other things in the same storage are not ours to remove."""
TOKEN_BATCH_SIZE = 1_000
TOKEN_GRACE_PERIOD = timedelta(days=1)
"""How long a token is kept that has expired: clocks differ, and another server's may not be there yet."""
EVENT_BATCH_SIZE = 10_000
"""Events that one transaction forgets: on SQLite others wait to write meanwhile."""


@dataclass(frozen=True, slots=True)
class CleanupResult:
    """How many uploads, and how many files that belonged to none."""

    uploads: int
    files: int


async def delete_orphans(db: Database, storage: Storage) -> CleanupResult:
    """Remove the uploads that no post has pointed at for a day, and the files that are of no upload."""
    before = utcnow() - GRACE_PERIOD
    swept = CleanupResult(await sweep_uploads(db, storage, before), await sweep_files(db, storage, before))
    await storage.delete_incomplete(before)
    return swept


async def sweep_uploads(db: Database, storage: Storage, before: datetime) -> int:
    gone = 0
    while names := await delete_unattached_rows(db, before):
        await storage.remove([kept for name in names for kept in all_names(name)])
        gone += len(names)
    return gone


async def delete_unattached_rows(db: Database, before: datetime) -> Sequence[str]:
    """Takes out some of the rows that no post points at; gives the names of their files.

    They are held first, and looked at again: a post that takes one at this moment comes before, or finds it gone.
    """
    loose = select(Upload.id).where(Upload.unattached_since < before, ~is_attached()).limit(FILE_BATCH_SIZE)
    async with db.writing() as session:
        held = list(await session.scalars(loose.with_for_update(skip_locked=True)))
        gone = delete(Upload).where(Upload.id.in_(held), ~is_attached()).returning(Upload.name)
        return list(await session.scalars(gone)) if held else []


async def sweep_files(db: Database, storage: Storage, before: datetime) -> int:
    gone, waiting = 0, []
    async for stored in storage.list_files():
        if stored.modified < before and FILE_NAME.fullmatch(stored.name):
            waiting.append(stored.name)
        if len(waiting) == FILE_BATCH_SIZE:
            gone += await delete_orphaned_files(db, storage, waiting)
            waiting = []
    return gone + await delete_orphaned_files(db, storage, waiting)


async def delete_orphaned_files(db: Database, storage: Storage, names: Sequence[str]) -> int:
    """Removes those of some files that no row knows of."""
    owners = {name: FILE_NAME.fullmatch(name)[1] for name in names}
    async with db.reading() as session:
        known = set(await session.scalars(select(Upload.name).where(Upload.name.in_(set(owners.values())))))
    strays = [name for name, owner in owners.items() if owner not in known]
    await storage.remove(strays)
    return len(strays)


async def delete_expired_tokens(db: Database) -> int:
    """Forget refresh tokens that have expired; says how many.

    Until then a used one is kept, for it is known as stolen by that alone. With the last of a session's tokens its
    access tokens are long over.
    """
    gone = more = await _delete_batch(db)
    while more == TOKEN_BATCH_SIZE:
        gone += (more := await _delete_batch(db))
    return gone


async def _delete_batch(db: Database) -> int:
    """What somebody holds just now is left for the next time: another server forgets it, or its session is ending."""
    expired = select(RefreshToken.id).where(RefreshToken.expires_at < utcnow() - TOKEN_GRACE_PERIOD)
    page = expired.order_by(RefreshToken.expires_at).limit(TOKEN_BATCH_SIZE).with_for_update(skip_locked=True)
    async with db.writing() as session:
        ids = (await session.scalars(page)).all()
        if ids:
            await session.execute(delete(RefreshToken).where(RefreshToken.id.in_(ids)))
    return len(ids)


async def prune_events(db: Database, older_than: timedelta) -> int:
    """Forget old events; says how many. The newest of them stays, as the mark that the log reaches back to there."""
    first, gone, is_done = oldest_batch(utcnow() - older_than), 0, False
    while not is_done:
        async with db.writing() as session:
            last, old = (await session.execute(first)).one()
            if last is not None:
                gone += (await session.execute(delete(Event).where(Event.id < last))).rowcount
                await session.execute(update(Event).where(Event.id == last).values(type=PRUNED))
        is_done = old <= EVENT_BATCH_SIZE
    return gone


def oldest_batch(before: datetime) -> Select[tuple[int | None, int]]:
    """Where the events end that the log begins with and that are all old, as far as one page goes, and how many.

    Only those: a clock that is slow dates a new event long ago, and everything before it would go with it. One page of
    the log is read by its ids, however much of it is old.
    """
    page = select(Event.id, Event.at).order_by(Event.id).limit(EVENT_BATCH_SIZE + 1).cte("page")
    young = select(func.min(page.c.id)).where(page.c.at >= before).scalar_subquery()
    old = or_(young.is_(None), page.c.id < young)
    return select(func.max(page.c.id), func.count()).select_from(page).where(old)
