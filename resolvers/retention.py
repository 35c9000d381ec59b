"""How long facts are kept."""

from datetime import timedelta

from sqlalchemy import delete, func, select, update

from models import Database, Event, utcnow
from models.events import START

AT_ONCE = 10_000
"""Events that one transaction forgets: on SQLite others wait to write meanwhile."""


async def prune(db: Database, older_than: timedelta) -> int:
    """Forget old events; says how many. The newest of them stays, as the mark that the log reaches back to there."""
    old, gone, is_done = Event.at < utcnow() - older_than, 0, False
    while not is_done:
        async with db.writing() as session:
            further = await session.scalar(select(Event.id).where(old).order_by(Event.id).offset(AT_ONCE).limit(1))
            last = further or await session.scalar(select(func.max(Event.id)).where(old))
            if last is not None:
                gone += (await session.execute(delete(Event).where(Event.id < last))).rowcount
                await session.execute(update(Event).where(Event.id == last).values(type=START))
        is_done = further is None
    return gone
