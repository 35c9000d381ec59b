"""Stripe, where it is configured. Servers that have no business with it do not import its package."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.settings import Settings
from models.errors import NotConfigured
from resolvers.ports import Payments, WebhookVerifier


@asynccontextmanager
async def open_payments(settings: Settings) -> AsyncIterator[Payments | None]:
    """Stripe's Checkout, where there is a key to it."""
    if settings.stripe_secret_key is None:
        yield None
        return
    from gateway.adapters.stripe.checkout import StripePayments

    address, prices = settings.stripe_api_base, settings.stripe_prices
    payments = StripePayments(settings.stripe_secret_key, address=address, prices=prices)
    try:
        yield payments
    finally:
        await payments.close()


class UnconfiguredVerifier:
    """What stands where there is no secret to verify with."""

    def verify(self, body: bytes, signature: str | None) -> None:
        raise NotConfigured("Webhooks are not configured here")


def create_verifier(settings: Settings) -> WebhookVerifier:
    """What verifies that Stripe signed something."""
    if not settings.stripe_webhook_secret:
        return UnconfiguredVerifier()
    from gateway.adapters.stripe.signatures import StripeSignatureVerifier

    return StripeSignatureVerifier(settings.stripe_webhook_secret)
