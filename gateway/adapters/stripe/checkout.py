"""Checkout sessions: Stripe's hosted payment pages."""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

import stripe

from models import Order
from models.errors import Unavailable, UpstreamError, ValidationError
from resolvers.ports import PaymentPage

ATTEMPT_TIMEOUT_SECONDS = 10.0
MAX_RETRIES = 2
TOTAL_TIMEOUT_SECONDS = 25.0
"""Limit for all attempts and the pauses between them."""

CLIENT_FIELD = {"success_url": "successUrl", "cancel_url": "cancelUrl", "mode": "mode"}
"""Our input fields by the parameters of Stripe that they end up in."""

logger = logging.getLogger("gateway.stripe")


class StripePayments:
    """Stripe Checkout, as the port `Payments`."""

    def __init__(self, key: str, *, base_url: str | None = None, prices: Iterable[str] = ()) -> None:
        """`prices`: ids of the prices that clients may buy; empty allows all of the account's."""
        self.http = stripe.HTTPXClient(timeout=ATTEMPT_TIMEOUT_SECONDS)
        base_urls: Any = {"api": base_url} if base_url else {}
        options: Any = {"max_network_retries": MAX_RETRIES, "http_client": self.http}
        self.client = stripe.StripeClient(key, base_addresses=base_urls, **options)
        self.prices = frozenset(prices)

    def accepts_price(self, price_id: str) -> bool:
        return not self.prices or price_id in self.prices

    async def create_session(self, order: Order, *, recurring: bool, success: str, cancel: str) -> PaymentPage:
        params: Any = {**session_params(order, recurring=recurring), "success_url": success, "cancel_url": cancel}
        try:
            async with asyncio.timeout(TOTAL_TIMEOUT_SECONDS):
                options = {"idempotency_key": f"order-{order.id}"}
                session = await self.client.v1.checkout.sessions.create_async(params, options)
        except TimeoutError as error:
            raise Unavailable("Stripe cannot be reached; try again") from error
        except stripe.StripeError as error:
            raise to_api_error(error) from None  # the error handler would log the cause, with Stripe's message
        if not session.url:
            raise UpstreamError
        return PaymentPage(session.id, session.url, session.amount_total, session.currency)

    async def close(self) -> None:
        await self.http.close_async()


def session_params(order: Order, *, recurring: bool) -> dict[str, Any]:
    """Return the parameters of a Checkout session, with the order's id wherever Stripe's later events look for it."""
    metadata = {"orderId": str(order.id)}
    return {
        "mode": "subscription" if recurring else "payment",
        "client_reference_id": str(order.id),
        "metadata": metadata,
        "line_items": [{"price": order.price_id, "quantity": order.quantity}],
        "subscription_data" if recurring else "payment_intent_data": {"metadata": metadata},
    }


def to_api_error(error: stripe.StripeError) -> Exception:
    """Convert Stripe's error to one for clients, without its message. Log the request id, to look it up at Stripe."""
    parameter = getattr(error, "param", None) or ""
    if isinstance(error, stripe.InvalidRequestError) and parameter.startswith("line_items"):
        return ValidationError.for_fields(priceId="Stripe has no such price, or not for this mode")
    if isinstance(error, stripe.InvalidRequestError) and parameter in CLIENT_FIELD:
        return ValidationError.for_fields(**{CLIENT_FIELD[parameter]: "Stripe rejects this value"})
    facts = type(error).__name__, error.http_status, error.code, error.request_id
    logger.warning("Stripe failed: %s, status %s, code %s, request %s", *facts)
    if isinstance(error, stripe.APIConnectionError):
        return Unavailable("Stripe cannot be reached; try again")
    return UpstreamError("Stripe failed; try again later")
