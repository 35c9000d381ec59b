"""What is asked of the table of events, and of Postgres about those who write to it."""

from collections.abc import Sequence

from sqlalchemy import BigInteger, Integer, Row, String, and_, bindparam, column, func, literal_column, select, text

from gateway.events.entry import NIL_UUID
from models import Event, Order, Post, Role, Viewer
from models.database.transaction import Transaction
from models.events import PRUNED
from resolvers.events import EventType

EVENT = (
    Event.id,
    Event.type,
    Event.entity_id,
    Event.post_id,
    Event.actor_id,
    Event.at,
    Event.hides_post,
    Event.was_public,
)
AUDIENCE = (
    Post.author_id,
    Post.visible_to(None),
    Post.visible_to(Viewer(Post.author_id)),
    Post.visible_to(Viewer(NIL_UUID, Role.ADMIN)),
    Order.user_id,
)
"""Whose the post is, and whether everyone, its author and admins may see it now, by its own rule; or whose order."""
ITS_ORDER = and_(Event.type == EventType.ORDER_UPDATED.value, Order.id == Event.entity_id)

DRAWN = literal_column("pg_sequence_last_value(pg_get_serial_sequence('events', 'id')::regclass)")
WRITERS = text(
    "select virtualtransaction from pg_locks"
    " where locktype = 'relation' and relation = 'events'::regclass and mode = 'RowExclusiveLock'"
    " and database = (select oid from pg_database where datname = current_database())"
).columns(column("virtualtransaction", String()))

LAST = 2**63 - 1
BEYOND = (
    select(*EVENT, *AUDIENCE)
    .outerjoin(Post, Post.id == Event.post_id)
    .outerjoin(Order, ITS_ORDER)
    .where(Event.id > bindparam("cursor", type_=BigInteger()), Event.id <= bindparam("until", type_=BigInteger()))
    .order_by(Event.id)
    .limit(bindparam("most", type_=Integer()))
)


async def events_after(session: Transaction, cursor: int, most: int, until: int | None = None) -> Sequence[Row]:
    """Events after a cursor in the order of their ids, each with the audience of its post, or of its order."""
    bounds = {"cursor": cursor, "until": LAST if until is None else until, "most": most}
    return (await session.execute(BEYOND, bounds)).all()


async def newest(session: Transaction) -> int:
    """The highest id that is there."""
    return await session.scalar(select(func.max(Event.id))) or 0


async def pruned_up_to(session: Transaction) -> int:
    """The id up to which events were forgotten: pruning leaves a mark, as the first row of all."""
    first = await first_event(session)
    return first.id if first and first.type == PRUNED else 0


async def is_available(session: Transaction, cursor: int) -> bool:
    """Whether nothing after a cursor was forgotten, be it by pruning or by somebody who deleted rows."""
    first = await first_event(session)
    if first is None or first.type == PRUNED:
        return first is None or cursor >= first.id
    return cursor == 0 or cursor >= first.id - 1


async def first_event(session: Transaction) -> Row[tuple[int, str]] | None:
    return (await session.execute(select(Event.id, Event.type).order_by(Event.id).limit(1))).one_or_none()


def ids_may_commit_late(session: Transaction) -> bool:
    """SQLite has one writer, so that there ids and commits are in one order."""
    return session.dialect.name != "sqlite"


async def last_allocated_id(session: Transaction) -> int:
    """The highest id that was given to a transaction, which may commit it yet, or never."""
    return await session.scalar(select(DRAWN)) or 0


async def open_write_transactions(session: Transaction) -> frozenset[str]:
    """The transactions that write to the table just now.

    Whoever has drawn an id is among them, and is no more once all can see what it committed: Postgres lets go of locks
    after that.
    """
    return frozenset((await session.scalars(WRITERS)).all())
