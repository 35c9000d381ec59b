"""The signatures of what Stripe tells."""

from collections.abc import Collection

import stripe

from models.errors import InvalidSignature

TOLERANCE = 300
"""Seconds for which a signature is good."""


class StripeSignatureVerifier:
    """What Stripe signs with: several secrets while one is rotated."""

    def __init__(self, secrets: Collection[str]) -> None:
        self.secrets = secrets

    def verify(self, body: bytes, signature: str | None) -> None:
        """Refuses a body that none of the secrets signed, or not lately."""
        if not any(is_signed(body, signature, secret) for secret in self.secrets):
            raise InvalidSignature


def is_signed(body: bytes, signature: str | None, secret: str) -> bool:
    if not signature or not signature.isascii():
        return False
    try:
        return stripe.WebhookSignature.verify_header(body.decode(), signature, secret, TOLERANCE)
    except (stripe.SignatureVerificationError, UnicodeDecodeError):
        return False
