"""Access tokens of an outside identity provider, checked as RFC 8725 and RFC 9068 say."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import jwt

from gateway.auth.jwks import KEY_TYPE_BY_ALGORITHM, RemoteKeySet, open_key_set
from gateway.settings import Settings
from models.errors import Unauthorized
from resolvers.identities import MAX_SUBJECT_LENGTH, ExternalUser, parse_claims
from resolvers.tokens import INVALID_JWT, MAX_TOKEN_LENGTH

DECODE_ERRORS = jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError
"""What comes of reading a token, whatever somebody put into it."""
LEEWAY_SECONDS = 30
"""Seconds that the provider's clock and ours may be apart."""
REQUIRED_CLAIMS = ["iss", "sub", "aud", "exp"]
DATE_CLAIMS = "exp", "nbf", "iat"
TOKEN_TYPES = {"jwt", "at+jwt", "application/at+jwt"}
"""What a token may say it is. Others, such as `logout+jwt`, are signed with the same keys for other ends."""


class OIDCVerifier:
    """One provider, whose tokens are told from ours by their issuer."""

    def __init__(self, keys: RemoteKeySet, issuer: str, audience: tuple[str, ...]) -> None:
        self.keys, self.issuer, self.audience = keys, issuer, audience

    def matches_issuer(self, token: str) -> bool:
        """Whether a token says that it is the provider's; nothing is verified yet."""
        if len(token) > MAX_TOKEN_LENGTH:
            return False
        try:
            return jwt.decode(token, options={"verify_signature": False}).get("iss") == self.issuer
        except DECODE_ERRORS:
            return False

    async def verify(self, token: str) -> tuple[ExternalUser, int]:
        """Whom a token of the provider's names, and until when."""
        try:
            header = jwt.get_unverified_header(token)
            claims = await self.claims(token, header)
            subject, expires_at = claims["sub"], int(claims["exp"])
        except DECODE_ERRORS as error:
            raise Unauthorized(INVALID_JWT) from error
        # One that is bound to its sender's key is worth nothing without a proof of that key (RFC 9449).
        if not 0 < len(subject) <= MAX_SUBJECT_LENGTH or not subject.isprintable() or "cnf" in claims:
            raise Unauthorized(INVALID_JWT)
        return parse_claims(self.issuer, subject, claims), expires_at

    async def claims(self, token: str, header: dict[str, Any]) -> dict[str, Any]:
        """What a token says, if the key that it names signed it. What else its header offers as a key is ignored."""
        algorithm = header.get("alg")
        known = isinstance(algorithm, str) and algorithm in KEY_TYPE_BY_ALGORITHM
        if not known or str(header.get("typ", "JWT")).lower() not in TOKEN_TYPES:
            raise jwt.InvalidTokenError("not a token of the provider's kind")
        key = await self.keys.get_key(header.get("kid"), algorithm)
        if key is None:
            raise jwt.InvalidTokenError("signed with no key of the provider's")
        claims = jwt.decode(
            token,
            key,
            [algorithm],
            options={"require": REQUIRED_CLAIMS, "enforce_minimum_key_length": True},
            issuer=self.issuer,
            audience=self.audience,
            leeway=LEEWAY_SECONDS,
        )
        if not all(is_number(claims[name]) for name in DATE_CLAIMS if name in claims):
            raise jwt.InvalidTokenError("dated with what is no number")
        return claims


def is_number(value: Any) -> bool:
    """As RFC 7519 has its dates; PyJWT takes whatever Python's `int` reads, texts among it."""
    return isinstance(value, int | float) and not isinstance(value, bool)


@asynccontextmanager
async def open_oidc(settings: Settings) -> AsyncIterator[OIDCVerifier | None]:
    """The provider that is set, if one is."""
    if settings.auth_jwks_url is None:
        yield None
        return
    async with open_key_set(settings.auth_jwks_url) as keys:
        yield OIDCVerifier(keys, settings.auth_issuer or "", settings.auth_audience)
