"""What can be bought: an order is made first, and then a page of the payment provider's where it is paid."""

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
"""How many of one thing an order may be for."""
LONGEST_URL = 2_048


class CheckoutMode(Enum):
    """How something is paid for."""

    PAYMENT = "PAYMENT"
    SUBSCRIPTION = "SUBSCRIPTION"


def check_redirect_url(text: str) -> str:
    """An address that a browser may be sent to; one that shows another host than it leads to is refused.

    It need not be a page of ours: the provider sends the buyer there, this server never does. Braces are let stand,
    for Stripe puts the session's id in the place of `{CHECKOUT_SESSION_ID}`.
    """
    try:
        parts = urlsplit(text)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        has_host = False
    if not has_host or parts.scheme not in ("http", "https"):
        raise ValueError("must be an address that begins with http:// or https://")
    if "@" in parts.netloc or "\\" in text or any(c.isspace() or not c.isprintable() for c in text):
        raise ValueError("must hold no user name, no backslash and no space")
    return text


RedirectUrl = Annotated[
    str, StringConstraints(min_length=1, max_length=LONGEST_URL), AfterValidator(check_redirect_url)
]
Price = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255), Storable]


class Checkout(Input):
    """What to buy. What it costs is the price's to say, and never the client's."""

    price_id: Price = Field(description="Stripe's id of a price.")
    quantity: Annotated[int, Field(ge=1, le=MAX_QUANTITY)] | None = Field(default=1, description="1 to 1,000.")
    mode: CheckoutMode | None = Field(default=CheckoutMode.PAYMENT, description="Once, or again and again.")
    success_url: RedirectUrl = Field(description="Where the buyer is sent once it is paid.")
    cancel_url: RedirectUrl = Field(description="Where the buyer is sent who does not pay.")


@dataclass(frozen=True, slots=True)
class CheckoutResult:
    """An order, and where it is paid."""

    order: UUID
    url: str


@requires_login
async def checkout(ctx: RequestContext, input: Checkout) -> CheckoutResult:
    """Order something. The answer says where to send the buyer, and the order is PAID once Stripe says so."""
    viewer, payments = ctx.require_viewer(), ctx.payments
    if payments is None:
        raise NotConfigured("Payments are not configured here")
    if not payments.accepts_price(input.price_id):
        raise ValidationError.for_fields(priceId="There is no such price")
    order = Order(user_id=viewer.id, price_id=input.price_id, quantity=input.quantity or 1)
    async with ctx.db.writing() as session:
        session.add(order)
    url = await create_session(ctx, payments, order, input)
    return CheckoutResult(order.id, url)


async def create_session(ctx: RequestContext, payments: Payments, order: Order, input: Checkout) -> str:
    """Where an order is paid. Nothing of the database is held while the provider is asked.

    An order that the provider refuses is taken back. After any other failure there may be a page all the same, though
    nobody knows its address: it expires by itself, and so the order is.
    """
    recurring = input.mode is CheckoutMode.SUBSCRIPTION
    try:
        page = await payments.create_session(
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
        told = {"stripe_session_id": page.id, "amount_total": page.amount_total, "currency": page.currency}
        await session.execute(update_untouched(order, **told))
    return page.url


def update_untouched(order: Order, **values: object) -> Update:
    """Notes what came of asking; what Stripe has told of the order meanwhile stands."""
    untouched = Order.id == order.id, Order.status == OrderStatus.PENDING, Order.stripe_session_id.is_(None)
    return update_rows(Order).where(*untouched).values(**values)
