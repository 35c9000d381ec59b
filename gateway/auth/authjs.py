"""Session cookies of Auth.js, read as `@auth/core` writes them, so that who is signed in to a front end is so here.

The cookie is a JWT, encrypted with a key that is derived from the secret and the name of the cookie, and is cut in
pieces, `.0`, `.1` and so on, where one cookie could not hold it.
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
"""Its tokens name no issuer; the secret is what says whose they are."""
LEEWAY_SECONDS = 15
"""Seconds, as `@auth/core` allows."""
MAX_COOKIE_LENGTH = 64 * 1024
"""Characters of all pieces together."""
EMAIL_SUBJECT_PREFIX = "address\t"
"""Before the address of whom nothing else names. No `sub` begins so, as all of one can be printed, and nobody who was
kept without it is lost, for they are known by their address."""
RANDOM_UUID = re.compile(r"(?i)[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}|")
"""A `sub` that may be another with each sign-in: JavaScript's `randomUUID`, or none."""


@dataclass(frozen=True, slots=True)
class CookieFormat:
    """One version's cookie, and how its key is derived."""

    name: str
    encryption: str
    key_bytes: int
    salt: str
    info: str

    def key(self, secret: str) -> OctKey:
        derivation = HKDF(SHA256(), self.key_bytes, salt=self.salt.encode(), info=self.info.encode())
        return OctKey.import_key(derivation.derive(secret.encode()))


def v5_format(name: str) -> CookieFormat:
    """Auth.js, which is NextAuth.js from version 5 on."""
    return CookieFormat(name, "A256CBC-HS512", 64, name, f"Auth.js Generated Encryption Key ({name})")


def v4_format(name: str) -> CookieFormat:
    """NextAuth.js until then."""
    return CookieFormat(name, "A256GCM", 32, "", "NextAuth.js Generated Encryption Key")


COOKIE_PREFIXES = "__Host-", "__Secure-"
"""With either a browser takes a cookie from nobody in between, and with the first from no other host."""
COOKIE_FORMATS = tuple(
    of_version(prefix + name)
    for of_version, name in ((v5_format, "authjs.session-token"), (v4_format, "next-auth.session-token"))
    for prefix in (*COOKIE_PREFIXES, "")
)


class AuthJs:
    """Reads the cookies of front ends that share a secret with this server; several while it is rotated."""

    def __init__(self, secrets: tuple[str, ...], *, prefixed: bool) -> None:
        kinds = [kind for kind in COOKIE_FORMATS if not prefixed or kind.name.startswith(COOKIE_PREFIXES)]
        self.keys = {kind: [kind.key(secret) for secret in secrets] for kind in kinds}
        """By what may be looked at: where our own names have a prefix, so must theirs."""

    def has_cookie(self, cookies: Mapping[str, str]) -> bool:
        """Whether there is a cookie of the kind, whatever it is worth."""
        return any(kind.name in cookies or f"{kind.name}.0" in cookies for kind in self.keys)

    def read_user(self, cookies: Mapping[str, str]) -> tuple[ExternalUser, int] | None:
        """Whom the cookies name, and until when; None where that is nobody any more."""
        for kind in self.keys:
            if (token := join_chunks(cookies, kind.name)) and (claims := self.decrypt_claims(kind, token)):
                return parse_user(claims)
        return None

    def decrypt_claims(self, kind: CookieFormat, token: str) -> dict[str, Any] | None:
        for key in self.keys[kind]:
            try:
                decrypted = jwe.decrypt_compact(token, key, ["dir", kind.encryption])
                claims = orjson.loads(decrypted.plaintext or b"")
            except (JoseError, ValueError, KeyError, TypeError):
                continue
            return claims if isinstance(claims, dict) and is_current(claims) else None
        return None


def create_authjs(settings: Settings) -> AuthJs | None:
    """What reads them, if front ends are to be believed."""
    return AuthJs(settings.authjs_secret, prefixed=settings.prefixes_cookies) if settings.authjs_secret else None


def join_chunks(cookies: Mapping[str, str], name: str) -> str | None:
    """A cookie's value, put together from its pieces where it was cut."""
    value = cookies.get(name) or "".join(iter_chunks(cookies, name))
    return value if 0 < len(value) <= MAX_COOKIE_LENGTH else None


def iter_chunks(cookies: Mapping[str, str], name: str) -> Iterator[str]:
    number = 0
    while piece := cookies.get(f"{name}.{number}"):
        yield piece
        number += 1


def is_current(claims: dict[str, Any]) -> bool:
    now, ends, begins = time.time(), claims.get("exp"), claims.get("nbf", 0)
    numbers = isinstance(ends, int | float) and isinstance(begins, int | float)
    return numbers and begins - LEEWAY_SECONDS <= now < ends + LEEWAY_SECONDS


def parse_user(claims: dict[str, Any]) -> tuple[ExternalUser, int] | None:
    """By `sub`; by address only where that may be made up, as Auth.js does at each sign-in if it has no database."""
    subject = sub if isinstance(sub := claims.get("sub"), str) else ""
    person = parse_claims(ISSUER, subject, claims, known_by_email=RANDOM_UUID.fullmatch(subject) is not None)
    named = subject or person.email or ""
    if not 0 < len(named) <= MAX_SUBJECT_LENGTH or not named.isprintable():
        return None
    return (person if subject else replace(person, subject=EMAIL_SUBJECT_PREFIX + named)), int(claims["exp"])
