"""What can be asked about orders."""

from uuid import UUID

from sqlalchemy import Select, desc, select

from models import Order, Viewer
from models.errors import NotFound, Unauthorized
from resolvers.context import RequestContext


def orders(viewer: Viewer | None) -> Select[Order]:
    """The viewer's own orders, newest first."""
    if viewer is None:
        raise Unauthorized
    return select(Order).where(Order.user_id == viewer.id).order_by(desc(Order.created_at), desc(Order.id))


async def own(ctx: RequestContext, id: UUID) -> None:
    """Refuses an order that is not the viewer's own."""
    viewer = ctx.signed_in()
    async with ctx.db.reading() as session:
        if await session.scalar(select(Order.id).where(Order.id == id, Order.user_id == viewer.id)) is None:
            raise NotFound.named("Order")
