"""How long facts are kept."""

from datetime import datetime, timedelta

from sqlalchemy import Select, delete, func, or_, select, update

from models import Database, Event, utcnow
from models.events import START

AT_ONCE = 10_000
"""Events that one transaction forgets: on SQLite others wait to write meanwhile."""


async def prune(db: Database, older_than: timedelta) -> int:
    """Forget old events; says how many. The newest of them stays, as the mark that the log reaches back to there."""
    first, gone, is_done = first_old(utcnow() - older_than), 0, False
    while not is_done:
        async with db.writing() as session:
            last, old = (await session.execute(first)).one()
            if last is not None:
                gone += (await session.execute(delete(Event).where(Event.id < last))).rowcount
                await session.execute(update(Event).where(Event.id == last).values(type=START))
        is_done = old <= AT_ONCE
    return gone


def first_old(before: datetime) -> Select[tuple[int | None, int]]:
    """Where the events end that the log begins with and that are all old, as far as one page goes, and how many.

    Only those: a clock that is slow dates a new event long ago, and everything before it would go with it. One page of
    the log is read by its ids, however much of it is old.
    """
    page = select(Event.id, Event.at).order_by(Event.id).limit(AT_ONCE + 1).cte("page")
    young = select(func.min(page.c.id)).where(page.c.at >= before).scalar_subquery()
    old = or_(young.is_(None), page.c.id < young)
    return select(func.max(page.c.id), func.count()).select_from(page).where(old)
