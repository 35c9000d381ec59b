"""Made-up data: much of it to measure with (`gateway seed`), and a little to look at (`gateway serve --demo`).

The rows go past the operations, straight into the tables, so they write no events, for nobody followed them being made;
only one that has servers forget what they know.
"""

from gateway.seeding.demo import demo
from gateway.seeding.generator import Account, Generator, SeedSizes
from gateway.seeding.writer import Progress, analyze, clear, load_existing, no_progress, opened, seeded_random, write
from models import utcnow
from models.events import invalidate_all

__all__ = ["Account", "Progress", "SeedSizes", "demo", "no_progress", "seed"]


async def seed(
    url: str, amounts: SeedSizes, *, seed: int = 1, fresh: bool = False, progress: Progress = no_progress
) -> None:
    """Add made-up rows to a migrated database, or none of them; `fresh` removes what is there first."""
    async with opened(url) as db:
        async with db.writing() as session:
            if fresh:
                await clear(session)
            there, chance = await load_existing(session), await seeded_random(session, seed)
            for sheet in Generator(amounts, there, chance=chance, now=utcnow()):
                await write(session, sheet, progress)
            invalidate_all(session)
        await analyze(db)
