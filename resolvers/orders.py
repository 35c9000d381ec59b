"""What can be asked about orders."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import Select, desc, select

from models import Database, Order, OrderStatus, Viewer, utcnow
from models.errors import NotFound, Unauthorized
from resolvers.context import RequestContext
from resolvers.stripe.effects import advance_status

PENDING_TIMEOUT = timedelta(days=1)
"""How long an order stays PENDING of which Stripe has told nothing: its pages, too, expire after a day."""
AT_ONCE = 100


def orders(viewer: Viewer | None) -> Select[Order]:
    """The viewer's own orders, newest first."""
    if viewer is None:
        raise Unauthorized
    return select(Order).where(Order.user_id == viewer.id).order_by(desc(Order.created_at), desc(Order.id))


async def check_own(ctx: RequestContext, id: UUID) -> None:
    """Refuses an order that is not the viewer's own."""
    viewer = ctx.require_viewer()
    async with ctx.db.reading() as session:
        if await session.scalar(select(Order.id).where(Order.id == id, Order.user_id == viewer.id)) is None:
            raise NotFound.for_entity("Order")


async def expire(db: Database) -> int:
    """End the orders that have no page where they could be paid, as a server died before it knew of one; how many.

    Should there be one all the same, and be paid, Stripe tells of it: that counts for more than EXPIRED.
    """
    ended = 0
    while more := await expire_some(db):
        ended += more
    return ended


async def expire_some(db: Database) -> int:
    without_page = Order.status == OrderStatus.PENDING, Order.stripe_session_id.is_(None)
    found = select(Order).where(*without_page, Order.created_at < utcnow() - PENDING_TIMEOUT).order_by(Order.created_at)
    async with db.writing() as session:
        orders = (await session.scalars(found.limit(AT_ONCE).with_for_update(skip_locked=True))).all()
        for order in orders:
            advance_status(session, order, OrderStatus.EXPIRED)
    return len(orders)
