"""Signatures of Stripe's webhooks."""

from collections.abc import Collection

import stripe

from models.errors import InvalidSignature

MAX_AGE_SECONDS = 300
"""How long a signature is valid."""


class StripeSignatureVerifier:
    """Verifies webhook signatures with one secret, or several while the secret is rotated."""

    def __init__(self, secrets: Collection[str]) -> None:
        self.secrets = secrets

    def verify(self, body: bytes, signature: str | None) -> None:
        """Raise `InvalidSignature` if no secret matches the signature or it is too old."""
        if not any(is_signed(body, signature, secret) for secret in self.secrets):
            raise InvalidSignature


def is_signed(body: bytes, signature: str | None, secret: str) -> bool:
    if not signature or not signature.isascii():
        return False
    try:
        return stripe.WebhookSignature.verify_header(body.decode(), signature, secret, MAX_AGE_SECONDS)
    except (stripe.SignatureVerificationError, UnicodeDecodeError):
        return False
