"""Effects of Stripe's events on orders and subscriptions, in any order of delivery and for repeated deliveries.

The status of an order only advances: PENDING, EXPIRED, PAID, REFUNDED. A subscription follows its newest event. An
effect raises `CannotApply` before it changes anything. It returns the Stripe ids that are known from now on, so that
events that arrived too early can be retried, or None if the event does not concern this service as far as is known.
"""

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from models import Order, OrderStatus, Subscription
from resolvers.events import record_order_event
from resolvers.stripe import events as stripe

Effect = Callable[[AsyncSession, stripe.Event, Any], Coroutine[Any, Any, set[str | None] | None]]

STATUS_ORDER = OrderStatus.PENDING, OrderStatus.EXPIRED, OrderStatus.PAID, OrderStatus.REFUNDED
REFUND = "charge.refunded"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""`updated_at` of a subscription without an event of its own, so that any event is newer."""


class CannotApply(Exception):
    """An event cannot be applied, and will fail again unless something changes. The message is shown to admins."""


async def apply_checkout(
    session: AsyncSession, event: stripe.Event, checkout: stripe.CheckoutSession
) -> set[str | None]:
    """Mark an order as PAID, if the checkout is paid, and create the subscription that it pays for."""
    order = await get_order(session, checkout)
    order.stripe_session_id = order.stripe_session_id or checkout.id
    order.stripe_payment_intent = order.stripe_payment_intent or checkout.payment_intent
    if checkout.is_paid and order.paid_at is None:
        order.paid_at = event.created
        order.amount_total = order.amount_total if checkout.amount_total is None else checkout.amount_total
        order.currency = checkout.currency or order.currency
        advance_status(session, order, OrderStatus.PAID, notify=True)
    if checkout.subscription:
        status = "active" if checkout.is_paid else "incomplete"
        await get_or_create_subscription(session, checkout.subscription, order.user_id, checkout.customer, status)
    return {checkout.payment_intent, checkout.subscription, checkout.subscription and checkout.customer}


async def apply_expiry(session: AsyncSession, event: stripe.Event, checkout: stripe.CheckoutSession) -> set[str | None]:
    """Expire an order whose checkout ended unpaid."""
    advance_status(session, await get_order(session, checkout), OrderStatus.EXPIRED)
    return set()


async def apply_refund(session: AsyncSession, event: stripe.Event, charge: stripe.Charge) -> set[str | None] | None:
    """Mark an order as REFUNDED if all of it was refunded. A partial refund has no effect.

    A refunded invoice of a subscription belongs to no order; other events report the subscription's status.
    """
    order = await find_order(session, Order.id == charge.order_id)
    if order is None and charge.payment_intent is not None:
        order = await find_order(session, Order.stripe_payment_intent == charge.payment_intent)
    if order is None and await has_subscription(session, charge.customer):
        return None
    if order is None:
        raise CannotApply(f"No order was paid by {charge.payment_intent}")
    if charge.is_refunded:
        advance_status(session, order, OrderStatus.REFUNDED)
    return set()


async def apply_subscription(session: AsyncSession, event: stripe.Event, data: stripe.Subscription) -> set[str | None]:
    """Update a subscription unless a newer event did. A subscription that has ended does not change."""
    row = await find_subscription(session, data.id) or await create_from_event(session, data.id, data)
    is_end = event.type.endswith(".deleted")
    if row.status in stripe.TERMINAL_STATUSES or (not is_end and is_stale(row, event)):
        return {data.id, data.customer}
    row.status = "canceled" if is_end and data.status not in stripe.TERMINAL_STATUSES else data.status
    row.stripe_customer_id = data.customer or row.stripe_customer_id
    row.current_period_end = data.period_end or row.current_period_end
    row.updated_at = max(row.updated_at, event.created)
    return {data.id, data.customer}


async def apply_invoice(session: AsyncSession, event: stripe.Event, invoice: stripe.Invoice) -> set[str | None]:
    """Extend a subscription whose invoice was paid, and make it active again if it was past due.

    An invoice of zero, such as that of a trial, changes only the end of the period.
    """
    if invoice.subscription is None:
        return set()
    row = await find_subscription(session, invoice.subscription)
    row = row or await create_from_event(session, invoice.subscription, invoice)
    if row.status not in stripe.TERMINAL_STATUSES and event.created >= row.updated_at:
        ends = [end for end in (row.current_period_end, invoice.lines.end) if end]
        row.current_period_end = max(ends, default=None)
        if invoice.amount_paid != 0:
            row.status = "active" if row.status in ("incomplete", "past_due") else row.status
            row.updated_at = event.created
    return {invoice.subscription, invoice.customer}


def is_stale(row: Subscription, event: stripe.Event) -> bool:
    """Return whether an event is older than the row. In the same second, which is Stripe's resolution, the later
    delivery wins, except for creation events.
    """
    if event.type.endswith(".created"):
        return event.created <= row.updated_at
    return event.created < row.updated_at


def advance_status(session: AsyncSession, order: Order, status: OrderStatus, *, notify: bool = False) -> None:
    """Advance the status of an order, never back. Record an event if it changed or with `notify`."""
    latest = max(order.status, status, key=STATUS_ORDER.index)
    if notify or latest is not order.status:
        order.status = latest
        record_order_event(session, order)


async def get_order(session: AsyncSession, checkout: stripe.CheckoutSession) -> Order:
    """Return the order of a checkout session, by the session's metadata or its id, or raise `CannotApply`.

    `client_reference_id` is not used, because visitors of the account's payment links can set it.
    """
    order = await find_order(session, Order.id == checkout.order_id)
    order = order or await find_order(session, Order.stripe_session_id == checkout.id)
    if order is None:
        raise CannotApply(f"No order belongs to {checkout.id}")
    return order


async def find_order(session: AsyncSession, condition: ColumnElement[bool]) -> Order | None:
    return await session.scalar(select(Order).where(condition).order_by(Order.id).limit(1).with_for_update())


async def find_subscription(session: AsyncSession, id: str) -> Subscription | None:
    return await session.scalar(select(Subscription).where(Subscription.stripe_subscription_id == id).with_for_update())


async def has_subscription(session: AsyncSession, customer: str | None) -> bool:
    """Return whether a Stripe customer has or had a subscription."""
    if customer is None:
        return False
    query = select(Subscription.id).where(Subscription.stripe_customer_id == customer).limit(1)
    return await session.scalar(query) is not None


async def create_from_event(session: AsyncSession, id: str, data: stripe.Subscription | stripe.Invoice) -> Subscription:
    """Create a subscription for the buyer of the order in its metadata, or raise `CannotApply`."""
    order = await find_order(session, Order.id == data.order_id)
    if order is None:
        raise CannotApply(f"No checkout is known for {id}")
    return await get_or_create_subscription(session, id, order.user_id, data.customer, "incomplete")


async def get_or_create_subscription(
    session: AsyncSession, id: str, user_id: UUID, customer: str | None, status: str
) -> Subscription:
    row = await find_subscription(session, id)
    if row is None:
        ids = {"stripe_subscription_id": id, "user_id": user_id, "stripe_customer_id": customer or ""}
        row = Subscription(**ids, status=status, updated_at=EPOCH)
        session.add(row)
    return row


EFFECTS: dict[str, tuple[type[stripe.OrderObject], Effect]] = {
    "checkout.session.completed": (stripe.CheckoutSession, apply_checkout),
    "checkout.session.async_payment_succeeded": (stripe.CheckoutSession, apply_checkout),
    "checkout.session.expired": (stripe.CheckoutSession, apply_expiry),
    REFUND: (stripe.Charge, apply_refund),
    "customer.subscription.created": (stripe.Subscription, apply_subscription),
    "customer.subscription.updated": (stripe.Subscription, apply_subscription),
    "customer.subscription.deleted": (stripe.Subscription, apply_subscription),
    "invoice.paid": (stripe.Invoice, apply_invoice),
}
