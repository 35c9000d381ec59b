"""Stripe. The package `stripe` is imported only if it is configured."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.settings import Settings
from models.errors import NotConfigured
from resolvers.ports import Payments, WebhookVerifier


@asynccontextmanager
async def open_payments(settings: Settings) -> AsyncIterator[Payments | None]:
    """Open a client of Stripe Checkout; yield None without a `STRIPE_SECRET_KEY`."""
    if settings.stripe_secret_key is None:
        yield None
        return
    from gateway.adapters.stripe.checkout import StripePayments

    payments = StripePayments(
        settings.stripe_secret_key, base_url=settings.stripe_api_base, prices=settings.stripe_prices
    )
    try:
        yield payments
    finally:
        await payments.close()


class UnconfiguredVerifier:
    """The verifier of a server without a `STRIPE_WEBHOOK_SECRET`."""

    def verify(self, body: bytes, signature: str | None) -> None:
        raise NotConfigured("Webhooks are not configured here")


def create_verifier(settings: Settings) -> WebhookVerifier:
    """Create the verifier of Stripe's webhook signatures."""
    if not settings.stripe_webhook_secret:
        return UnconfiguredVerifier()
    from gateway.adapters.stripe.signatures import StripeSignatureVerifier

    return StripeSignatureVerifier(settings.stripe_webhook_secret)
