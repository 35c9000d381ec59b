"""Access tokens of an outside identity provider, checked as RFC 8725 and RFC 9068 say."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import jwt

from gateway.auth.jwks import FAMILY_OF, KeySet, key_set
from gateway.settings import Settings
from models.errors import Unauthorized
from resolvers.identities import LONGEST_SUBJECT, Told, told
from resolvers.tokens import INVALID, LONGEST

MALFORMED = jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError
"""What comes of reading a token, whatever somebody put into it."""
LEEWAY = 30
"""Seconds that the provider's clock and ours may be apart."""
REQUIRED = ["iss", "sub", "aud", "exp"]
DATES = "exp", "nbf", "iat"
TYPES = {"jwt", "at+jwt", "application/at+jwt"}
"""What a token may say it is. Others, such as `logout+jwt`, are signed with the same keys for other ends."""


class Provider:
    """One provider, whose tokens are told from ours by their issuer."""

    def __init__(self, keys: KeySet, issuer: str, audience: tuple[str, ...]) -> None:
        self.keys, self.issuer, self.audience = keys, issuer, audience

    def claims_to_have_issued(self, token: str) -> bool:
        """Whether a token says that it is the provider's; nothing is verified yet."""
        if len(token) > LONGEST:
            return False
        try:
            return jwt.decode(token, options={"verify_signature": False}).get("iss") == self.issuer
        except MALFORMED:
            return False

    async def verified(self, token: str) -> tuple[Told, int]:
        """Whom a token of the provider's names, and until when."""
        try:
            header = jwt.get_unverified_header(token)
            claims = await self.claims(token, header)
            subject, expires_at = claims["sub"], int(claims["exp"])
        except MALFORMED as error:
            raise Unauthorized(INVALID) from error
        # One that is bound to its sender's key is worth nothing without a proof of that key (RFC 9449).
        if not 0 < len(subject) <= LONGEST_SUBJECT or not subject.isprintable() or "cnf" in claims:
            raise Unauthorized(INVALID)
        return told(self.issuer, subject, claims), expires_at

    async def claims(self, token: str, header: dict[str, Any]) -> dict[str, Any]:
        """What a token says, if the key that it names signed it. What else its header offers as a key is ignored."""
        algorithm = header.get("alg")
        known = isinstance(algorithm, str) and algorithm in FAMILY_OF
        if not known or str(header.get("typ", "JWT")).lower() not in TYPES:
            raise jwt.InvalidTokenError("not a token of the provider's kind")
        key = await self.keys.find(header.get("kid"), algorithm)
        if key is None:
            raise jwt.InvalidTokenError("signed with no key of the provider's")
        claims = jwt.decode(
            token,
            key,
            [algorithm],
            options={"require": REQUIRED, "enforce_minimum_key_length": True},
            issuer=self.issuer,
            audience=self.audience,
            leeway=LEEWAY,
        )
        if not all(is_number(claims[name]) for name in DATES if name in claims):
            raise jwt.InvalidTokenError("dated with what is no number")
        return claims


def is_number(value: Any) -> bool:
    """As RFC 7519 has its dates; PyJWT takes whatever Python's `int` reads, texts among it."""
    return isinstance(value, int | float) and not isinstance(value, bool)


@asynccontextmanager
async def provider_of(settings: Settings) -> AsyncIterator[Provider | None]:
    """The provider that is set, if one is."""
    if settings.auth_jwks_url is None:
        yield None
        return
    async with key_set(settings.auth_jwks_url) as keys:
        yield Provider(keys, settings.auth_issuer or "", settings.auth_audience)
