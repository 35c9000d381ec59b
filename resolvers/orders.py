"""Queries on orders, and the job that expires them."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import Select, desc, select

from models import Database, Order, OrderStatus, Viewer, utcnow
from models.errors import NotFound, Unauthorized
from resolvers.context import RequestContext
from resolvers.stripe.effects import advance_status

PENDING_TIMEOUT = timedelta(days=1)
"""Time after which an order without a checkout session expires; Stripe's sessions expire after a day as well."""
EXPIRE_BATCH_SIZE = 100


def orders(viewer: Viewer | None) -> Select[Order]:
    """The viewer's own orders, newest first."""
    if viewer is None:
        raise Unauthorized
    return select(Order).where(Order.user_id == viewer.id).order_by(desc(Order.created_at), desc(Order.id))


async def check_own(ctx: RequestContext, id: UUID) -> None:
    """Raise `NotFound` if the viewer has no such order."""
    viewer = ctx.require_viewer()
    async with ctx.db.reading() as session:
        if await session.scalar(select(Order.id).where(Order.id == id, Order.user_id == viewer.id)) is None:
            raise NotFound.for_entity("Order")


async def expire(db: Database) -> int:
    """Expire orders that have no checkout session because a server crashed. Return their number.

    If the session exists after all and is paid, Stripe's webhook still changes the order to PAID.
    """
    count = 0
    while expired := await expire_batch(db):
        count += expired
    return count


async def expire_batch(db: Database) -> int:
    is_stuck = Order.status == OrderStatus.PENDING, Order.stripe_session_id.is_(None)
    query = select(Order).where(*is_stuck, Order.created_at < utcnow() - PENDING_TIMEOUT).order_by(Order.created_at)
    async with db.writing() as session:
        orders = (await session.scalars(query.limit(EXPIRE_BATCH_SIZE).with_for_update(skip_locked=True))).all()
        for order in orders:
            advance_status(session, order, OrderStatus.EXPIRED)
    return len(orders)
