"""Stripe's pages, where orders are paid."""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

import stripe

from models import Order
from models.errors import Unavailable, UpstreamError, ValidationError
from resolvers.ports import PaymentPage

PATIENCE = 10.0
"""Seconds that one try may take."""
RETRIES = 2
TOTAL_TIMEOUT = 25.0
"""Seconds that all tries may take, and the pauses between them."""

CLIENT_FIELD = {"success_url": "successUrl", "cancel_url": "cancelUrl", "mode": "mode"}
"""Ours, for the parameters of Stripe's that it may refuse."""
WORDS = "Stripe does not take it"

logger = logging.getLogger("gateway.stripe")


class StripePayments:
    """Stripe's Checkout, as the port `Payments` has it."""

    def __init__(self, key: str, *, address: str | None = None, prices: Iterable[str] = ()) -> None:
        """`prices`: those that may be bought; all of the account's, if there are none."""
        self.http = stripe.HTTPXClient(timeout=PATIENCE)
        addresses: Any = {"api": address} if address else {}
        options: Any = {"max_network_retries": RETRIES, "http_client": self.http}
        self.client = stripe.StripeClient(key, base_addresses=addresses, **options)
        self.prices = frozenset(prices)

    def accepts_price(self, price_id: str) -> bool:
        return not self.prices or price_id in self.prices

    async def create_session(self, order: Order, *, recurring: bool, success: str, cancel: str) -> PaymentPage:
        wanted: Any = {**session_params(order, recurring=recurring), "success_url": success, "cancel_url": cancel}
        try:
            async with asyncio.timeout(TOTAL_TIMEOUT):
                once = {"idempotency_key": f"order-{order.id}"}
                session = await self.client.v1.checkout.sessions.create_async(wanted, once)
        except TimeoutError as error:
            raise Unavailable("Stripe cannot be reached; try again") from error
        except stripe.StripeError as error:
            raise to_api_error(error) from None  # who notes causes would log what Stripe says
        if not session.url:
            raise UpstreamError
        return PaymentPage(session.id, session.url, session.amount_total, session.currency)

    async def close(self) -> None:
        await self.http.close_async()


def session_params(order: Order, *, recurring: bool) -> dict[str, Any]:
    """What Stripe keeps with the session, and with all that comes of it, so that its events find the order."""
    metadata = {"orderId": str(order.id)}
    about = {"subscription_data" if recurring else "payment_intent_data": {"metadata": metadata}}
    return {
        "mode": "subscription" if recurring else "payment",
        "client_reference_id": str(order.id),
        "metadata": metadata,
        "line_items": [{"price": order.price_id, "quantity": order.quantity}],
        **about,
    }


def to_api_error(error: stripe.StripeError) -> Exception:
    """What a client is told of Stripe's error, in words of ours; who runs this finds Stripe's by its request's id."""
    parameter = getattr(error, "param", None) or ""
    if isinstance(error, stripe.InvalidRequestError) and parameter.startswith("line_items"):
        return ValidationError.for_fields(priceId="There is no such price, or none that can be bought like this")
    if isinstance(error, stripe.InvalidRequestError) and parameter in CLIENT_FIELD:
        return ValidationError.for_fields(**{CLIENT_FIELD[parameter]: WORDS})
    said = type(error).__name__, error.http_status, error.code, error.request_id
    logger.warning("Stripe failed: %s, status %s, code %s, request %s", *said)
    if isinstance(error, stripe.APIConnectionError):
        return Unavailable("Stripe cannot be reached; try again")
    return UpstreamError("Stripe failed; try again later")
