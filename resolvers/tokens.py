"""Access tokens: short-lived JWTs that name an account and one of its sessions."""

import hashlib
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import jwt

from models import Role, Viewer, new_id
from models.errors import Unauthorized

ALGORITHM = "HS256"
ISSUER, TYPE = "dovetail", "JWT"
MAX_TOKEN_LENGTH = 8_192
"""Characters that a token may have before anybody looks into it."""
INVALID_JWT = "The access token is not valid or has expired"
DECODE_ERRORS = jwt.InvalidTokenError, KeyError, ValueError, TypeError, AttributeError, OverflowError, RecursionError
"""What comes of reading a token, whatever somebody put into it."""
MAX_VERIFIED_TOKENS = 10_000
"""Tokens whose signature need not be verified again: that takes longer than to ask whether their session lives."""
REQUIRED_CLAIMS = ["sub", "sid", "role", "iss", "iat", "exp"]
DECODE_OPTIONS: Any = {"require": REQUIRED_CLAIMS, "verify_iat": False}
"""When it was issued gives no right: were it asked, new tokens of a server whose clock is ahead would be of no use."""


@dataclass(frozen=True, slots=True)
class IssuedTokens:
    """What signing in or refreshing gives. `expires_in` is the access token's life in seconds."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int
    user: UUID
    viewer: Viewer
    session_id: UUID


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says; whether its session still lives is for the database to say."""

    viewer: Viewer
    session_id: UUID
    """What the viewer's rights hang on: a session, an identity, or an API key. They end with it."""
    expires_at: int | None
    """Unix seconds; None where only the session ends it."""
    key_id: UUID | None = None
    """The API key that it was, if it was one."""
    reads_only: bool = False


@dataclass(frozen=True, slots=True)
class Tokens:
    """Signs and verifies access tokens with one secret."""

    secret: str = field(repr=False)
    issuer: str = ISSUER
    access_life: timedelta = timedelta(minutes=15)
    refresh_life: timedelta = timedelta(days=30)
    verified: OrderedDict[bytes, Claims] = field(default_factory=OrderedDict, repr=False, compare=False)
    """By a digest of each token, what it says; those used last."""

    def access(self, viewer: Viewer, session_id: UUID) -> str:
        now = int(time.time())
        claims: dict[str, Any] = {
            "sub": str(viewer.id),
            "sid": str(session_id),
            "role": viewer.role.name,
            "iss": self.issuer,
            "iat": now,
            "exp": now + int(self.access_life.total_seconds()),
            "jti": str(new_id()),
        }
        return jwt.encode(claims, self.secret, ALGORITHM)

    def verify(self, token: str) -> Claims:
        """The claims of a token of ours that has not expired."""
        if len(token) > MAX_TOKEN_LENGTH:
            raise Unauthorized(INVALID_JWT)
        key = hashlib.sha256(token.encode(errors="surrogatepass")).digest()
        claims = self.verified.get(key)
        if claims is None:
            claims = self.verified[key] = self._decode(token)
            if len(self.verified) > MAX_VERIFIED_TOKENS:
                self.verified.popitem(last=False)
        self.verified.move_to_end(key)
        if claims.expires_at <= time.time():
            raise Unauthorized(INVALID_JWT)
        return claims

    def _decode(self, token: str) -> Claims:
        try:
            whole = jwt.decode_complete(token, self.secret, [ALGORITHM], issuer=self.issuer, options=DECODE_OPTIONS)
            claims = check_type(whole["header"], whole["payload"])
            viewer = Viewer(UUID(claims["sub"]), Role[claims["role"]])
            return Claims(viewer, UUID(claims["sid"]), int(claims["exp"]))
        except DECODE_ERRORS as error:
            raise Unauthorized(INVALID_JWT) from error


def check_type(header: dict[str, Any], claims: dict[str, Any]) -> dict[str, Any]:
    """A token's claims, if it says that it is what we sign."""
    if header.get("typ") != TYPE:
        raise jwt.InvalidTokenError("another type of token")
    return claims


def new_refresh_token() -> str:
    return secrets.token_urlsafe(32)


def hash_token(token: str) -> str:
    """How a refresh token is kept: it has 256 bits of chance, so a plain hash is enough."""
    return hashlib.sha256(token.encode()).hexdigest()
