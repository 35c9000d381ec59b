"""Made-up data: much of it to measure with (`gateway seed`), and a little to look at (`gateway serve --demo`).

The rows go past the operations, straight into the tables, so they write no events, for nobody followed them being made;
only one that has servers forget what they know.
"""

from gateway.seeding.demo import demo
from gateway.seeding.generator import Account, Amounts, Sheets
from gateway.seeding.writer import Progress, chance_of, clear, opened, quietly, settle, survey, write
from models import utcnow
from models.events import touch_everything

__all__ = ["Account", "Amounts", "Progress", "demo", "quietly", "seed"]


async def seed(url: str, amounts: Amounts, *, seed: int = 1, fresh: bool = False, progress: Progress = quietly) -> None:
    """Add made-up rows to a migrated database, or none of them; `fresh` removes what is there first."""
    async with opened(url) as db:
        async with db.writing() as session:
            if fresh:
                await clear(session)
            there, chance = await survey(session), await chance_of(session, seed)
            for sheet in Sheets(amounts, there, chance=chance, now=utcnow()):
                await write(session, sheet, progress)
            touch_everything(session)
        await settle(db)
