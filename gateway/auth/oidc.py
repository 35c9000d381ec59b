"""Verify access tokens of an external OpenID Connect provider, as RFC 8725 and RFC 9068 require."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from joserfc import jws
from joserfc.errors import BadSignatureError, InvalidKeyIdError, UnsupportedHeaderError
from joserfc.jwt import JWTClaimsRegistry

from gateway.auth.jwks import KEY_TYPE_BY_ALGORITHM, RemoteKeySet, open_key_set
from gateway.settings import Settings
from models.errors import Unauthorized
from resolvers.identities import MAX_SUBJECT_LENGTH, ExternalUser, parse_claims
from resolvers.tokens import DECODE_ERRORS, INVALID_JWT, MAX_TOKEN_LENGTH, create_jws_registry

LEEWAY_SECONDS = 30
"""Allowed difference between the provider's clock and ours."""
TOKEN_TYPES = {"jwt", "at+jwt", "application/at+jwt"}
"""Accepted values of `typ`. Others, such as `logout+jwt`, are signed with the same keys for other purposes."""
JWS_REGISTRY = create_jws_registry(KEY_TYPE_BY_ALGORITHM)


class OIDCVerifier:
    """Verifies the tokens of one provider. Their issuer distinguishes them from our own tokens."""

    def __init__(self, keys: RemoteKeySet, issuer: str, audience: tuple[str, ...]) -> None:
        self.keys, self.issuer = keys, issuer
        self.claims_registry = JWTClaimsRegistry(
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": issuer},
            sub={"essential": True},
            aud={"essential": True, "values": list(audience)},
            exp={"essential": True},
        )

    def matches_issuer(self, token: str) -> bool:
        """Return whether a token names the provider as its issuer. Verifies nothing."""
        if len(token) > MAX_TOKEN_LENGTH:
            return False
        try:
            return json.loads(extract(token).payload)["iss"] == self.issuer
        except DECODE_ERRORS:
            return False

    async def verify(self, token: str) -> tuple[ExternalUser, int]:
        """Return the user that a token names, and when the token expires (Unix seconds).

        Raise `Unauthorized`, or `Unavailable` if the provider's keys cannot be fetched.
        """
        try:
            signature = extract(token)
            await self.verify_signature(signature)
            claims: dict[str, Any] = json.loads(signature.payload)
            self.claims_registry.validate(claims)
            subject, expires_at = claims["sub"], int(claims["exp"])
        except DECODE_ERRORS as error:
            raise Unauthorized(INVALID_JWT) from error
        # A token with `cnf` is bound to its sender's key and worth nothing without a proof of that key (RFC 9449).
        if not 0 < len(subject) <= MAX_SUBJECT_LENGTH or not subject.isprintable() or "cnf" in claims:
            raise Unauthorized(INVALID_JWT)
        return parse_claims(self.issuer, subject, claims), expires_at

    async def verify_signature(self, signature: jws.CompactSignature) -> None:
        """Verify with the key that the header names. Keys that the header itself offers (`jwk`, `jku`) are ignored."""
        header = signature.headers()
        JWS_REGISTRY.check_header(header)
        algorithm = header["alg"]
        if algorithm not in KEY_TYPE_BY_ALGORITHM or header.get("typ", "JWT").lower() not in TOKEN_TYPES:
            raise UnsupportedHeaderError("not an access token")
        key = await self.keys.get_key(header.get("kid"), algorithm)
        if key is None:
            raise InvalidKeyIdError("not a key of the provider")
        if not jws.validate_compact(signature, key, registry=JWS_REGISTRY):
            raise BadSignatureError


def extract(token: str) -> jws.CompactSignature:
    """Parse a token without verifying it."""
    return jws.extract_compact(token.encode(), registry=JWS_REGISTRY)


@asynccontextmanager
async def open_oidc(settings: Settings) -> AsyncIterator[OIDCVerifier | None]:
    """Open the verifier for `AUTH_JWKS_URL`, or None if no provider is configured."""
    if settings.auth_jwks_url is None:
        yield None
        return
    async with open_key_set(settings.auth_jwks_url) as keys:
        yield OIDCVerifier(keys, settings.auth_issuer or "", settings.auth_audience)
