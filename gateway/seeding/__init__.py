"""Generated data: a lot of it to measure with (`gateway seed`), a little to look at (`gateway serve --demo`).

The rows are inserted directly, without the operations in `resolvers`, so no events are recorded for them. A single
event at the end has running servers clear their caches.
"""

from gateway.seeding import writer
from gateway.seeding.demo import demo
from gateway.seeding.generator import Account, Generator, SeedSizes
from gateway.seeding.writer import Progress, no_progress
from models import utcnow
from models.events import invalidate_all

__all__ = ["Account", "Progress", "SeedSizes", "demo", "no_progress", "seed"]


async def seed(
    url: str, sizes: SeedSizes, *, seed: int = 1, fresh: bool = False, progress: Progress = no_progress
) -> None:
    """Add generated rows to a migrated database, in one transaction. `fresh` deletes all existing rows first."""
    async with writer.open_database(url) as db:
        async with db.writing() as session:
            if fresh:
                await writer.clear(session)
            existing, random = await writer.load_existing(session), await writer.seeded_random(session, seed)
            for table in Generator(sizes, existing, random=random, now=utcnow()):
                await writer.write(session, table, progress)
            invalidate_all(session)
        await writer.analyze(db)
