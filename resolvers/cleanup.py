"""What nobody needs any more, and what a crash left behind, is swept away.

A row is written after its file and goes before it, so a crash may leave a file without a row, and never the reverse.
Both are let be for a day: no upload that is under way takes as long.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select

from models import Database, Upload, utcnow
from resolvers.images.thumbnails import all_names
from resolvers.ports import Storage
from resolvers.uploads import STORED_NAME, is_attached

GRACE = timedelta(hours=24)
AT_ONCE = 100
OURS = re.compile(rf"(?:\d+/)?({STORED_NAME.pattern})")
"""Names that we give: other things in the same storage are not ours to remove."""


@dataclass(frozen=True, slots=True)
class Swept:
    """How many uploads, and how many files that belonged to none."""

    uploads: int
    files: int


async def sweep(db: Database, storage: Storage) -> Swept:
    """Remove the uploads that no post has pointed at for a day, and the files that are of no upload."""
    before = utcnow() - GRACE
    swept = Swept(await sweep_uploads(db, storage, before), await sweep_files(db, storage, before))
    await storage.tidy(before)
    return swept


async def sweep_uploads(db: Database, storage: Storage, before: datetime) -> int:
    gone = 0
    while names := await taken_out(db, before):
        await storage.remove([kept for name in names for kept in all_names(name)])
        gone += len(names)
    return gone


async def taken_out(db: Database, before: datetime) -> Sequence[str]:
    """Takes out some of the rows that no post points at; gives the names of their files.

    They are held first, and looked at again: a post that takes one at this moment comes before, or finds it gone.
    """
    loose = select(Upload.id).where(Upload.loose_since < before, ~is_attached()).limit(AT_ONCE)
    async with db.writing() as session:
        held = list(await session.scalars(loose.with_for_update(skip_locked=True)))
        gone = delete(Upload).where(Upload.id.in_(held), ~is_attached()).returning(Upload.name)
        return list(await session.scalars(gone)) if held else []


async def sweep_files(db: Database, storage: Storage, before: datetime) -> int:
    gone, waiting = 0, []
    async for stored in storage.names():
        if stored.modified < before and OURS.fullmatch(stored.name):
            waiting.append(stored.name)
        if len(waiting) == AT_ONCE:
            gone += await remove_strays(db, storage, waiting)
            waiting = []
    return gone + await remove_strays(db, storage, waiting)


async def remove_strays(db: Database, storage: Storage, names: Sequence[str]) -> int:
    """Removes those of some files that no row knows of."""
    owners = {name: OURS.fullmatch(name)[1] for name in names}
    async with db.reading() as session:
        known = set(await session.scalars(select(Upload.name).where(Upload.name.in_(set(owners.values())))))
    strays = [name for name, owner in owners.items() if owner not in known]
    await storage.remove(strays)
    return len(strays)
