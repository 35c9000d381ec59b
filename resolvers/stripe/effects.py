"""What Stripe's events do to orders and subscriptions, in whatever order they come, and however often.

An order only ever moves on: PENDING, EXPIRED, PAID, REFUNDED. A subscription is as the newest event about it says.
Each effect refuses before it changes anything, and answers with what is known from now on: events that came too early,
and waited for that, can take theirs. It answers with None where the event is no concern of ours, as far as is known.
"""

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from models import Order, OrderStatus, Subscription
from resolvers.events import record_order_event
from resolvers.stripe import events as told

Effect = Callable[[AsyncSession, told.Event, Any], Coroutine[Any, Any, set[str | None] | None]]

STATUS_ORDER = OrderStatus.PENDING, OrderStatus.EXPIRED, OrderStatus.PAID, OrderStatus.REFUNDED
REFUND = "charge.refunded"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""When a subscription was last changed of which only its checkout is known: anything that is told of it is newer."""


class CannotApply(Exception):
    """A failure that the same event would meet again; says why, to who mends it."""


async def apply_checkout(session: AsyncSession, event: told.Event, checkout: told.CheckoutSession) -> set[str | None]:
    """A checkout was completed, or its payment came later. One that is completed unpaid pays for nothing yet."""
    order = await order_of(session, checkout)
    order.stripe_session_id = order.stripe_session_id or checkout.id
    order.stripe_payment_intent = order.stripe_payment_intent or checkout.payment_intent
    if checkout.is_paid and order.paid_at is None:
        order.paid_at = event.created
        order.amount_total = order.amount_total if checkout.amount_total is None else checkout.amount_total
        order.currency = checkout.currency or order.currency
        advance_status(session, order, OrderStatus.PAID, anyway=True)
    if checkout.subscription:
        status = "active" if checkout.is_paid else "incomplete"
        await get_or_create_subscription(session, checkout.subscription, order.user_id, checkout.customer, status)
    return {checkout.payment_intent, checkout.subscription, checkout.subscription and checkout.customer}


async def apply_expiry(session: AsyncSession, event: told.Event, checkout: told.CheckoutSession) -> set[str | None]:
    """A checkout ended unpaid."""
    advance_status(session, await order_of(session, checkout), OrderStatus.EXPIRED)
    return set()


async def apply_refund(session: AsyncSession, event: told.Event, charge: told.Charge) -> set[str | None] | None:
    """Money was paid back: an order is REFUNDED once all of it is, and a part changes nothing.

    What a subscriber's invoice was paid with is of no order. Whether the subscription goes on is told by itself.
    """
    order = await one_order(session, Order.id == charge.order_id)
    if order is None and charge.payment_intent is not None:
        order = await one_order(session, Order.stripe_payment_intent == charge.payment_intent)
    if order is None and await has_subscription(session, charge.customer):
        return None
    if order is None:
        raise CannotApply(f"No order was paid by {charge.payment_intent}")
    if charge.is_refunded:
        advance_status(session, order, OrderStatus.REFUNDED)
    return set()


async def apply_subscription(session: AsyncSession, event: told.Event, said: told.Subscription) -> set[str | None]:
    """A subscription is like this now, unless something newer is known. What has ended stays so."""
    row = await subscription(session, said.id) or await create_from_event(session, said.id, said)
    is_end = event.type.endswith(".deleted")
    if row.status in told.TERMINAL_STATUSES or (not is_end and is_stale(row, event)):
        return {said.id, said.customer}
    row.status = "canceled" if is_end and said.status not in told.TERMINAL_STATUSES else said.status
    row.stripe_customer_id = said.customer or row.stripe_customer_id
    row.current_period_end = said.period_end or row.current_period_end
    row.updated_at = max(row.updated_at, event.created)
    return {said.id, said.customer}


async def apply_invoice(session: AsyncSession, event: told.Event, invoice: told.Invoice) -> set[str | None]:
    """An invoice was paid: the subscription that it is for goes on, and is not behind any more.

    One for nothing, such as a trial's first, says no more than until when.
    """
    if invoice.subscription is None:
        return set()
    row = await subscription(session, invoice.subscription)
    row = row or await create_from_event(session, invoice.subscription, invoice)
    if row.status not in told.TERMINAL_STATUSES and event.created >= row.updated_at:
        ends = [end for end in (row.current_period_end, invoice.lines.end) if end]
        row.current_period_end = max(ends, default=None)
        if invoice.amount_paid != 0:
            row.status = "active" if row.status in ("incomplete", "past_due") else row.status
            row.updated_at = event.created
    return {invoice.subscription, invoice.customer}


def is_stale(row: Subscription, event: told.Event) -> bool:
    """Stripe counts in seconds. Of two events in one, the later to come counts, but that nothing begins twice."""
    if event.type.endswith(".created"):
        return event.created <= row.updated_at
    return event.created < row.updated_at


def advance_status(session: AsyncSession, order: Order, status: OrderStatus, *, anyway: bool = False) -> None:
    """An order moves on, never back; whoever follows it is told if it did, or `anyway`."""
    further = max(order.status, status, key=STATUS_ORDER.index)
    if anyway or further is not order.status:
        order.status = further
        record_order_event(session, order)


async def order_of(session: AsyncSession, checkout: told.CheckoutSession) -> Order:
    """The order that a session pays for: the one in our metadata, or else the one that knows the session as its own.

    `client_reference_id` alone proves nothing, as whoever opens a payment link of the same account may choose it.
    """
    order = await one_order(session, Order.id == checkout.order_id)
    order = order or await one_order(session, Order.stripe_session_id == checkout.id)
    if order is None:
        raise CannotApply(f"No order belongs to {checkout.id}")
    return order


async def one_order(session: AsyncSession, which: ColumnElement[bool]) -> Order | None:
    return await session.scalar(select(Order).where(which).order_by(Order.id).limit(1).with_for_update())


async def subscription(session: AsyncSession, id: str) -> Subscription | None:
    return await session.scalar(select(Subscription).where(Subscription.stripe_subscription_id == id).with_for_update())


async def has_subscription(session: AsyncSession, customer: str | None) -> bool:
    """Whether a customer of Stripe's has, or had, a subscription of ours."""
    if customer is None:
        return False
    found = select(Subscription.id).where(Subscription.stripe_customer_id == customer).limit(1)
    return await session.scalar(found) is not None


async def create_from_event(session: AsyncSession, id: str, said: told.Subscription | told.Invoice) -> Subscription:
    """A subscription that nobody has spoken of before is that of who made the order in its metadata."""
    order = await one_order(session, Order.id == said.order_id)
    if order is None:
        raise CannotApply(f"No checkout is known that {id} came of")
    return await get_or_create_subscription(session, id, order.user_id, said.customer, "incomplete")


async def get_or_create_subscription(
    session: AsyncSession, id: str, user: UUID, customer: str | None, status: str
) -> Subscription:
    """A subscription, as little as may be known of it."""
    row = await subscription(session, id)
    if row is None:
        known = {"stripe_subscription_id": id, "user_id": user, "stripe_customer_id": customer or ""}
        row = Subscription(**known, status=status, updated_at=EPOCH)
        session.add(row)
    return row


EFFECTS: dict[str, tuple[type[told.OrderObject], Effect]] = {
    "checkout.session.completed": (told.CheckoutSession, apply_checkout),
    "checkout.session.async_payment_succeeded": (told.CheckoutSession, apply_checkout),
    "checkout.session.expired": (told.CheckoutSession, apply_expiry),
    REFUND: (told.Charge, apply_refund),
    "customer.subscription.created": (told.Subscription, apply_subscription),
    "customer.subscription.updated": (told.Subscription, apply_subscription),
    "customer.subscription.deleted": (told.Subscription, apply_subscription),
    "invoice.paid": (told.Invoice, apply_invoice),
}
