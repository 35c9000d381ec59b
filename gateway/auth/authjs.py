"""Session cookies of Auth.js, as `@auth/core` writes them: users who are signed in to a front end are signed in here.

The cookie is a JWT, encrypted with a key derived from the secret and the cookie's name. A value that is too long for
one cookie is split into chunks: `name.0`, `name.1` and so on.
"""

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from gateway.settings import Settings
from resolvers.identities import MAX_SUBJECT_LENGTH, ExternalUser, parse_claims

ISSUER = "authjs"
"""Stored as the issuer of these identities: the tokens name none, and the secret proves their origin."""
LEEWAY_SECONDS = 15
"""The clock tolerance of `@auth/core`."""
MAX_COOKIE_LENGTH = 64 * 1024
"""Characters of all chunks together."""
EMAIL_SUBJECT_PREFIX = "address\t"
"""Marks the subject of a user who is identified by e-mail address only. No `sub` can equal such a subject, because a
`sub` must be printable."""
RANDOM_UUID = re.compile(r"(?i)[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}|")
"""A `sub` that may differ at each sign-in: empty, or from JavaScript's `randomUUID`."""


@dataclass(frozen=True, slots=True)
class CookieFormat:
    """The cookie of one version of Auth.js, and how its key is derived."""

    name: str
    encryption: str
    key_bytes: int
    salt: str
    info: str

    def derive_key(self, secret: str) -> OctKey:
        derivation = HKDF(SHA256(), self.key_bytes, salt=self.salt.encode(), info=self.info.encode())
        return OctKey.import_key(derivation.derive(secret.encode()))


def v5_format(name: str) -> CookieFormat:
    """Return the format of Auth.js (NextAuth.js 5 and later)."""
    return CookieFormat(name, "A256CBC-HS512", 64, name, f"Auth.js Generated Encryption Key ({name})")


def v4_format(name: str) -> CookieFormat:
    """Return the format of NextAuth.js 4."""
    return CookieFormat(name, "A256GCM", 32, "", "NextAuth.js Generated Encryption Key")


COOKIE_PREFIXES = "__Host-", "__Secure-"
"""Browsers accept both only over HTTPS, and the first only from this very host."""
COOKIE_FORMATS = tuple(
    create_format(prefix + name)
    for create_format, name in ((v5_format, "authjs.session-token"), (v4_format, "next-auth.session-token"))
    for prefix in (*COOKIE_PREFIXES, "")
)


class AuthJs:
    """Reads the session cookies of front ends that share a secret with this server (several during a rotation)."""

    def __init__(self, secrets: tuple[str, ...], *, prefixed: bool) -> None:
        formats = [format for format in COOKIE_FORMATS if not prefixed or format.name.startswith(COOKIE_PREFIXES)]
        self.keys = {format: [format.derive_key(secret) for secret in secrets] for format in formats}
        """The keys of each accepted format. If our own cookies have a prefix, these must have one too."""

    def has_cookie(self, cookies: Mapping[str, str]) -> bool:
        """Return whether there is a session cookie, valid or not."""
        return any(format.name in cookies or f"{format.name}.0" in cookies for format in self.keys)

    def read_user(self, cookies: Mapping[str, str]) -> tuple[ExternalUser, int] | None:
        """Return the signed-in user and when the session expires (Unix seconds), or None without a valid session."""
        for format in self.keys:
            if (token := join_chunks(cookies, format.name)) and (claims := self.decrypt_claims(format, token)):
                return parse_user(claims)
        return None

    def decrypt_claims(self, format: CookieFormat, token: str) -> dict[str, Any] | None:
        for key in self.keys[format]:
            try:
                decrypted = jwe.decrypt_compact(token, key, ["dir", format.encryption])
                claims = orjson.loads(decrypted.plaintext or b"")
            except (JoseError, ValueError, KeyError, TypeError):
                continue
            return claims if isinstance(claims, dict) and is_current(claims) else None
        return None


def create_authjs(settings: Settings) -> AuthJs | None:
    """Return the cookie reader if `AUTHJS_SECRET` is set."""
    return AuthJs(settings.authjs_secret, prefixed=settings.prefixes_cookies) if settings.authjs_secret else None


def join_chunks(cookies: Mapping[str, str], name: str) -> str | None:
    """Return a cookie's value, joined if it was split into chunks."""
    value = cookies.get(name) or "".join(iter_chunks(cookies, name))
    return value if 0 < len(value) <= MAX_COOKIE_LENGTH else None


def iter_chunks(cookies: Mapping[str, str], name: str) -> Iterator[str]:
    number = 0
    while chunk := cookies.get(f"{name}.{number}"):
        yield chunk
        number += 1


def is_current(claims: dict[str, Any]) -> bool:
    now, expires_at, not_before = time.time(), claims.get("exp"), claims.get("nbf", 0)
    are_numbers = isinstance(expires_at, int | float) and isinstance(not_before, int | float)
    return are_numbers and not_before - LEEWAY_SECONDS <= now < expires_at + LEEWAY_SECONDS


def parse_user(claims: dict[str, Any]) -> tuple[ExternalUser, int] | None:
    """Identify the user by `sub`.

    Without a database, Auth.js generates a new `sub` at each sign-in. Such a user is identified by e-mail address.
    """
    subject = sub if isinstance(sub := claims.get("sub"), str) else ""
    user = parse_claims(ISSUER, subject, claims, known_by_email=RANDOM_UUID.fullmatch(subject) is not None)
    name = subject or user.email or ""
    if not 0 < len(name) <= MAX_SUBJECT_LENGTH or not name.isprintable():
        return None
    return (user if subject else replace(user, subject=EMAIL_SUBJECT_PREFIX + name)), int(claims["exp"])
