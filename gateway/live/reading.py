"""What is asked of the table of events, and of Postgres about those who write to it."""

from collections.abc import Sequence

from sqlalchemy import Row, Select, and_, func, literal_column, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.live.entries import NOBODY
from models import Event, Order, Post, Role, Viewer
from models.events import START
from resolvers.events import Fact

EVENT = Event.id, Event.type, Event.entity_id, Event.post_id, Event.actor_id, Event.at, Event.hides, Event.was_public
AUDIENCE = (
    Post.author_id,
    Post.visible_to(None),
    Post.visible_to(Viewer(Post.author_id)),
    Post.visible_to(Viewer(NOBODY, Role.ADMIN)),
    Order.user_id,
)
"""Whose the post is, and whether everyone, its author and admins may see it now, by its own rule; or whose order."""
ITS_ORDER = and_(Event.type == Fact.ORDER_UPDATED.value, Order.id == Event.entity_id)

DRAWN = literal_column("pg_sequence_last_value(pg_get_serial_sequence('events', 'id')::regclass)")
WRITERS = text(
    "select virtualtransaction from pg_locks"
    " where locktype = 'relation' and relation = 'events'::regclass and mode = 'RowExclusiveLock'"
    " and database = (select oid from pg_database where datname = current_database())"
)


async def beyond(session: AsyncSession, cursor: int, most: int, until: int | None = None) -> Sequence[Row]:
    """Events after a cursor in the order of their ids, each with the audience of its post, or of its order."""
    wanted = with_audience().where(Event.id > cursor).limit(most)
    return (await session.execute(wanted if until is None else wanted.where(Event.id <= until))).all()


def with_audience() -> Select:
    posts_and_orders = select(*EVENT, *AUDIENCE).outerjoin(Post, Post.id == Event.post_id).outerjoin(Order, ITS_ORDER)
    return posts_and_orders.order_by(Event.id)


async def newest(session: AsyncSession) -> int:
    """The highest id that is there."""
    return await session.scalar(select(func.max(Event.id))) or 0


async def reaches_back_to(session: AsyncSession) -> int:
    """The id up to which events were forgotten: pruning leaves a mark, as the first row of all."""
    first = await oldest(session)
    return first.id if first and first.type == START else 0


async def reaches(session: AsyncSession, cursor: int) -> bool:
    """Whether nothing after a cursor was forgotten, be it by pruning or by somebody who deleted rows."""
    first = await oldest(session)
    if first is None or first.type == START:
        return first is None or cursor >= first.id
    return cursor == 0 or cursor >= first.id - 1


async def oldest(session: AsyncSession) -> Row[tuple[int, str]] | None:
    return (await session.execute(select(Event.id, Event.type).order_by(Event.id).limit(1))).one_or_none()


def may_have_gaps(session: AsyncSession) -> bool:
    """SQLite has one writer, so that there ids and commits are in one order."""
    return session.get_bind().dialect.name != "sqlite"


async def newest_drawn(session: AsyncSession) -> int:
    """The highest id that was given to a transaction, which may commit it yet, or never."""
    return await session.scalar(select(DRAWN)) or 0


async def writers(session: AsyncSession) -> frozenset[str]:
    """The transactions that write to the table just now.

    Whoever has drawn an id is among them, and is no more once all can see what it committed: Postgres lets go of locks
    after that.
    """
    return frozenset((await session.scalars(WRITERS)).all())
