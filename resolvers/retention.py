"""How long facts are kept."""

from datetime import timedelta

from sqlalchemy import delete, func, select, update

from models import Database, Event, utcnow
from models.events import START


async def prune(db: Database, older_than: timedelta) -> int:
    """Forget old events; says how many. The newest of them stays, as the mark that the log reaches back to there."""
    async with db.writing() as session:
        last = await session.scalar(select(func.max(Event.id)).where(Event.at < utcnow() - older_than))
        if last is None:
            return 0
        gone = await session.execute(delete(Event).where(Event.id < last))
        await session.execute(update(Event).where(Event.id == last).values(type=START))
        return gone.rowcount
