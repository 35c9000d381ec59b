"""Checkouts: create an order, then a checkout session of the payment provider for it."""

from dataclasses import dataclass
from enum import Enum
from typing import Annotated
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints
from sqlalchemy import Update
from sqlalchemy import delete as delete_rows
from sqlalchemy import update as update_rows

from models import Order, OrderStatus
from models.errors import NotConfigured, ValidationError
from resolvers.context import RequestContext, requires_login
from resolvers.inputs import Input, Storable
from resolvers.ports import Payments

MAX_QUANTITY = 1_000
MAX_URL_LENGTH = 2_048


class CheckoutMode(Enum):
    """Kind of payment."""

    PAYMENT = "PAYMENT"
    SUBSCRIPTION = "SUBSCRIPTION"


def check_redirect_url(text: str) -> str:
    """Return an http(s) URL. Raise `ValueError` for others and for those that disguise their host.

    Any host is allowed, because only the provider redirects there, never this server. Braces are allowed, because
    Stripe replaces `{CHECKOUT_SESSION_ID}` by the session's id.
    """
    try:
        parts = urlsplit(text)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        has_host = False
    if not has_host or parts.scheme not in ("http", "https"):
        raise ValueError("must be a URL that begins with http:// or https://")
    if "@" in parts.netloc or "\\" in text or any(c.isspace() or not c.isprintable() for c in text):
        raise ValueError("must not contain a user name, a backslash or white space")
    return text


RedirectUrl = Annotated[
    str, StringConstraints(min_length=1, max_length=MAX_URL_LENGTH), AfterValidator(check_redirect_url)
]
Price = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255), Storable]


class Checkout(Input):
    """A purchase. The amount follows from the price at Stripe."""

    price_id: Price = Field(description="Stripe's id of the price.")
    quantity: Annotated[int, Field(ge=1, le=MAX_QUANTITY)] | None = Field(default=1, description="Number of units.")
    mode: CheckoutMode | None = Field(default=CheckoutMode.PAYMENT, description="One-time or recurring payment.")
    success_url: RedirectUrl = Field(description="URL to which the buyer is redirected after paying.")
    cancel_url: RedirectUrl = Field(description="URL to which the buyer is redirected after cancelling.")


@dataclass(frozen=True, slots=True)
class CheckoutResult:
    """An order and the URL where it is paid."""

    order: UUID
    url: str


@requires_login
async def checkout(ctx: RequestContext, input: Checkout) -> CheckoutResult:
    """Create an order and a Stripe checkout session for it. The order is PAID when Stripe confirms the payment."""
    viewer, payments = ctx.require_viewer(), ctx.payments
    if payments is None:
        raise NotConfigured("Payments are not configured")
    if not payments.accepts_price(input.price_id):
        raise ValidationError.for_fields(priceId="There is no such price")
    order = Order(user_id=viewer.id, price_id=input.price_id, quantity=input.quantity or 1)
    async with ctx.db.writing() as session:
        session.add(order)
    url = await create_session(ctx, payments, order, input)
    return CheckoutResult(order.id, url)


async def create_session(ctx: RequestContext, payments: Payments, order: Order, input: Checkout) -> str:
    """Create a checkout session for an order and return its URL. No transaction is open during the provider's request.

    If the provider rejects the order, delete it. After any other failure, expire it: a session may exist, but its URL
    is unknown, so it will expire unpaid.
    """
    recurring = input.mode is CheckoutMode.SUBSCRIPTION
    try:
        checkout_session = await payments.create_session(
            order, recurring=recurring, success=input.success_url, cancel=input.cancel_url
        )
    except ValidationError:
        async with ctx.db.compensating() as session:
            await session.execute(delete_rows(Order).where(Order.id == order.id))
        raise
    except Exception:
        async with ctx.db.compensating() as session:
            await session.execute(update_untouched(order, status=OrderStatus.EXPIRED))
        raise
    async with ctx.db.writing() as session:
        amount = {"amount_total": checkout_session.amount_total, "currency": checkout_session.currency}
        await session.execute(update_untouched(order, stripe_session_id=checkout_session.id, **amount))
    return checkout_session.url


def update_untouched(order: Order, **values: object) -> Update:
    """Update an order unless a webhook has changed it in the meantime."""
    untouched = Order.id == order.id, Order.status == OrderStatus.PENDING, Order.stripe_session_id.is_(None)
    return update_rows(Order).where(*untouched).values(**values)
