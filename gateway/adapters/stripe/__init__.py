"""Stripe, where it is configured. Servers that have no business with it do not import its package."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.settings import Settings
from models.errors import NotConfigured
from resolvers.ports import Payments, Signatures


@asynccontextmanager
async def checkouts(settings: Settings) -> AsyncIterator[Payments | None]:
    """Stripe's Checkout, where there is a key to it."""
    if settings.stripe_secret_key is None:
        yield None
        return
    from gateway.adapters.stripe.checkout import Checkouts

    address, prices = settings.stripe_api_base, settings.stripe_prices
    payments = Checkouts(settings.stripe_secret_key, address=address, prices=prices)
    try:
        yield payments
    finally:
        await payments.close()


class Unsigned:
    """What stands where there is no secret to verify with."""

    def verify(self, body: bytes, signature: str | None) -> None:
        raise NotConfigured("Webhooks are not configured here")


def signatures(settings: Settings) -> Signatures:
    """What verifies that Stripe signed something."""
    if not settings.stripe_webhook_secret:
        return Unsigned()
    from gateway.adapters.stripe.signatures import Secrets

    return Secrets(settings.stripe_webhook_secret)
