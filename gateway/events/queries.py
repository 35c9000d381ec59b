"""Queries of the events table, and of Postgres for the transactions that write to it."""

from collections.abc import Sequence
from functools import cache

from sqlalchemy import BigInteger, Integer, Row, String, and_, bindparam, column, func, literal_column, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.events.entry import NIL_UUID
from models import Event, Order, Post, Role, Viewer
from models.database.prepared import PreparedStatement
from models.events import PRUNED
from resolvers.events import EventType

EVENT_COLUMNS = (
    Event.id,
    Event.type,
    Event.entity_id,
    Event.post_id,
    Event.actor_id,
    Event.at,
    Event.hides_post,
    Event.was_public,
)
VISIBILITY_COLUMNS = (
    Post.author_id,
    Post.visible_to(None),
    Post.visible_to(Viewer(Post.author_id)),
    Post.visible_to(Viewer(NIL_UUID, Role.ADMIN)),
    Order.user_id,
)
"""The post's author, whether everyone, the author and admins may see it now, and the order's buyer."""

MAX_EVENT_ID = 2**63 - 1
EVENTS_AFTER = (
    select(*EVENT_COLUMNS, *VISIBILITY_COLUMNS)
    .outerjoin(Post, Post.id == Event.post_id)
    .outerjoin(Order, and_(Event.type == EventType.ORDER_UPDATED.value, Order.id == Event.entity_id))
    .where(Event.id > bindparam("cursor", type_=BigInteger()), Event.id <= bindparam("until", type_=BigInteger()))
    .order_by(Event.id)
    .limit(bindparam("limit", type_=Integer()))
)
LAST_ALLOCATED_ID = literal_column("pg_sequence_last_value(pg_get_serial_sequence('events', 'id')::regclass)")
WRITE_TRANSACTIONS = text(
    "select virtualtransaction from pg_locks"
    " where locktype = 'relation' and relation = 'events'::regclass and mode = 'RowExclusiveLock'"
    " and database = (select oid from pg_database where datname = current_database())"
).columns(column("virtualtransaction", String()))


prepare = cache(PreparedStatement)


async def fetch_events_after(
    session: AsyncSession, cursor: int, limit: int, until: int = MAX_EVENT_ID
) -> Sequence[Row]:
    """Return the events after a cursor in the order of ids, each with the visibility of its post or order."""
    statement = prepare(EVENTS_AFTER, session.bind.dialect)
    return await statement.select(session, cursor=cursor, until=until, limit=limit)


async def fetch_newest_id(session: AsyncSession) -> int:
    return await session.scalar(select(func.max(Event.id))) or 0


async def fetch_pruned_id(session: AsyncSession) -> int:
    """Return the id up to which events were deleted. Pruning leaves a marker as the first row."""
    first = await fetch_first_event(session)
    return first.id if first and first.type == PRUNED else 0


async def is_available(session: AsyncSession, cursor: int) -> bool:
    """Return whether every event after a cursor is still in the table, neither pruned nor deleted by hand."""
    first = await fetch_first_event(session)
    if first is None or first.type == PRUNED:
        return first is None or cursor >= first.id
    return cursor == 0 or cursor >= first.id - 1


async def fetch_first_event(session: AsyncSession) -> Row[tuple[int, str]] | None:
    return (await session.execute(select(Event.id, Event.type).order_by(Event.id).limit(1))).one_or_none()


def ids_may_commit_late(session: AsyncSession) -> bool:
    """Return whether ids may commit out of order. SQLite has one writer, so there they cannot."""
    return session.bind.dialect.name != "sqlite"


async def fetch_last_allocated_id(session: AsyncSession) -> int:
    """Return the highest id that was allocated to a transaction, whether it committed or not."""
    return await session.scalar(select(LAST_ALLOCATED_ID)) or 0


async def fetch_write_transactions(session: AsyncSession) -> frozenset[str]:
    """Return the open transactions that write to the events table.

    A transaction that has allocated an id is among them until its rows are visible to all: Postgres releases locks
    after that.
    """
    rows = await prepare(WRITE_TRANSACTIONS, session.bind.dialect).select(session)
    return frozenset([row.virtualtransaction for row in rows])
