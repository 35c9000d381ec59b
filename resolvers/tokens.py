"""Access tokens (short-lived JWTs that name an account and one of its sessions) and refresh tokens."""

import hashlib
import secrets
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from joserfc import jwt
from joserfc.errors import InvalidClaimError, JoseError
from joserfc.jwk import OctKey
from joserfc.jws import JWSRegistry
from joserfc.registry import HeaderParameter

from models import Role, Viewer, new_id
from models.errors import Unauthorized

ALGORITHM = "HS256"
ISSUER, TYPE = "dovetail", "JWT"
MAX_TOKEN_LENGTH = 8_192
"""Longer tokens are rejected before they are parsed."""
INVALID_JWT = "The access token is not valid or has expired"
DECODE_ERRORS = JoseError, KeyError, ValueError, TypeError, AttributeError, OverflowError, RecursionError
"""What parsing or verifying a malformed token can raise."""
MAX_VERIFIED_TOKENS = 10_000
"""Tokens whose verified claims are cached: verifying a signature takes longer than checking the session."""


@dataclass(frozen=True, slots=True)
class IssuedTokens:
    """The result of login, registration or refresh. `expires_in` is the access token's lifetime in seconds."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int
    user: UUID
    viewer: Viewer
    session_id: UUID


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of a verified credential. Whether its session is still active is a separate query."""

    viewer: Viewer
    session_id: UUID
    """The session, identity or API key that the viewer's rights depend on, and end with."""
    expires_at: int | None
    """Unix seconds; None if only the end of the session ends it."""
    key_id: UUID | None = None
    """The API key, if the credential was one."""
    reads_only: bool = False


class AccessTokenClaims(jwt.JWTClaimsRegistry):
    """The claim checks for our own access tokens."""

    def __init__(self, issuer: str) -> None:
        required: dict[str, Any] = {name: {"essential": True} for name in ("sub", "sid", "role", "iat", "exp")}
        super().__init__(iss={"essential": True, "value": issuer}, **required)

    def validate_iat(self, value: object) -> None:
        """Accept any time: another server's clock may be a few seconds ahead."""

    def validate_aud(self, value: object) -> None:
        """Reject tokens for another audience: ours have none (RFC 7519, section 4.1.3)."""
        raise InvalidClaimError("aud")


class Tokens:
    """Signs and verifies access tokens with one secret."""

    def __init__(
        self,
        secret: str,
        issuer: str = ISSUER,
        access_lifetime: timedelta = timedelta(minutes=15),
        refresh_lifetime: timedelta = timedelta(days=30),
    ) -> None:
        self.key, self.issuer = OctKey.import_key(secret), issuer
        self.access_lifetime, self.refresh_lifetime = access_lifetime, refresh_lifetime
        self.claims_registry = AccessTokenClaims(issuer)
        self.decode = lru_cache(MAX_VERIFIED_TOKENS)(self._decode)
        """Verifies signature and claims. Caches valid tokens, so `verify` checks their expiry."""

    def create_access_token(self, viewer: Viewer, session_id: UUID) -> str:
        """Return a signed token that expires after `access_lifetime`."""
        now = int(time.time())
        claims: dict[str, Any] = {
            "sub": str(viewer.id),
            "sid": str(session_id),
            "role": viewer.role.name,
            "iss": self.issuer,
            "iat": now,
            "exp": now + int(self.access_lifetime.total_seconds()),
            "jti": str(new_id()),
        }
        return jwt.encode({"alg": ALGORITHM, "typ": TYPE}, claims, self.key, registry=REGISTRY)

    def verify(self, token: str) -> Claims:
        """Return the claims of a token that we signed and that has not expired, or raise `Unauthorized`."""
        if len(token) > MAX_TOKEN_LENGTH:
            raise Unauthorized(INVALID_JWT)
        claims = self.decode(token)
        if claims.expires_at <= time.time():
            raise Unauthorized(INVALID_JWT)
        return claims

    def _decode(self, token: str) -> Claims:
        try:
            decoded = jwt.decode(token, self.key, registry=REGISTRY)
            claims = decoded.claims
            self.claims_registry.validate(claims)
            # RFC 8725, section 3.11: other types of token may be signed with the same secret.
            if decoded.header.get("typ") != TYPE:
                raise ValueError("not an access token")
            viewer = Viewer(UUID(claims["sub"]), Role[claims["role"]])
            return Claims(viewer, UUID(claims["sid"]), int(claims["exp"]))
        except DECODE_ERRORS as error:
            raise Unauthorized(INVALID_JWT) from error


def create_jws_registry(algorithms: Collection[str]) -> JWSRegistry:
    """Return joserfc's rules for tokens that are signed with one of `algorithms`.

    Unknown header parameters are ignored (RFC 7515, section 4). `crit` is rejected: it names extensions that a verifier
    must support, and none is supported here.
    """
    registry = JWSRegistry({"crit": HeaderParameter("Critical", "none")}, algorithms, strict_check_header=False)
    registry.max_header_length = registry.max_signature_length = MAX_TOKEN_LENGTH
    return registry


REGISTRY = create_jws_registry([ALGORITHM])


def new_refresh_token() -> str:
    return secrets.token_urlsafe(32)


def hash_token(token: str) -> str:
    """Return the stored form of a refresh token or an API key. They are random, so an unsalted hash is enough."""
    return hashlib.sha256(token.encode()).hexdigest()
