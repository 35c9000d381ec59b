"""The public keys of an identity provider (RFC 7517): fetched on demand, cached, and kept while it is unreachable."""

import asyncio
import logging
import time
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import Key, RSAKey, import_key

from models.errors import Unavailable

ALGORITHMS_BY_KEY_TYPE = {
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "EC": ("ES256", "ES384", "ES512"),
    "OKP": ("EdDSA",),
}
"""Accepted algorithms. A secret (`oct`) is no public key, so the HS algorithms are not among them."""
KEY_TYPE_BY_ALGORITHM = {name: key_type for key_type, names in ALGORITHMS_BY_KEY_TYPE.items() for name in names}
KEY_PARAMETERS = "kty", "crv", "n", "e", "x", "y"
"""The public parameters of a JWK (RFC 7518, section 6)."""
MIN_RSA_KEY_BITS = 2048
"""RFC 7518, section 3.3."""

MAX_AGE_SECONDS = 300.0
"""Keys older than this are fetched again in the background, so a withdrawn key is dropped."""
MIN_FETCH_INTERVAL_SECONDS = 10.0
"""Applies even if many tokens name unknown keys."""
FETCH_TIMEOUT_SECONDS = 5.0
MAX_DOCUMENT_BYTES, MAX_KEYS = 256 * 1024, 100

logger = logging.getLogger("gateway.auth")
# RFC 9864 replaces the name EdDSA by Ed25519 and Ed448, but providers still use it.
warnings.filterwarnings("ignore", "EdDSA is deprecated", SecurityWarning)


class RemoteKeySet:
    """The JSON Web Key Set at one URL."""

    def __init__(self, url: str, client: httpx.AsyncClient) -> None:
        self.url, self.client = url, client
        self.keys: list[dict[str, Any]] = []
        self.parsed: dict[tuple[str | None, str], Key] = {}
        """The keys used so far, by `kid` and algorithm."""
        self.fetched_at = self.tried_at = float("-inf")
        self.last_fetch_failed = False
        self.fetching: asyncio.Task[None] | None = None

    async def get_key(self, kid: str | None, algorithm: str) -> Key | None:
        """Return the key that a token names, or None if the provider has no such key.

        Raise `Unavailable` if the key is unknown and the keys cannot be fetched.
        """
        now = time.monotonic()
        if now - self.fetched_at > MAX_AGE_SECONDS:
            self.start_fetch(now)
        if (key := self.match_key(kid, algorithm)) is not None:
            return key
        self.start_fetch(now)
        if self.fetching:
            await asyncio.shield(self.fetching)
        key = self.match_key(kid, algorithm)
        if key is None and self.last_fetch_failed:
            raise Unavailable("The identity provider's keys cannot be fetched; try again")
        return key

    def match_key(self, kid: str | None, algorithm: str) -> Key | None:
        """Return the only key that matches. A token without `kid` needs none if one key matches its algorithm."""
        if (parsed := self.parsed.get((kid, algorithm))) is not None:
            return parsed
        matching = [key for key in self.keys if kid in (key.get("kid"), None) and supports(key, algorithm)]
        key = parse_key(matching[0]) if len(matching) == 1 else None
        if key is not None:
            self.parsed[kid, algorithm] = key
        return key

    def start_fetch(self, now: float) -> None:
        """Fetch in a task that all requests wait for: one that gives up does not cancel it for the others."""
        if self.fetching is None and now - self.tried_at >= MIN_FETCH_INTERVAL_SECONDS:
            self.tried_at = now
            self.fetching = asyncio.create_task(self._fetch(), name="fetch JWKS")

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(FETCH_TIMEOUT_SECONDS):
                self.keys = filter_keys(await self._download())
            self.parsed, self.fetched_at, self.last_fetch_failed = {}, time.monotonic(), False
        except (httpx.HTTPError, TimeoutError, ValueError, TypeError) as error:
            self.last_fetch_failed = True
            logger.warning("Could not fetch the keys at %s: %s", self.url, error or type(error).__name__)
        finally:
            self.fetching = None

    async def _download(self) -> Any:
        body = b""
        async with self.client.stream("GET", self.url, headers={"Accept": "application/json"}) as response:
            if response.status_code != httpx.codes.OK:
                raise ValueError(f"status {response.status_code}")
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAX_DOCUMENT_BYTES:
                    raise ValueError(f"more than {MAX_DOCUMENT_BYTES} bytes")
        return orjson.loads(body)


def filter_keys(document: Any) -> list[dict[str, Any]]:
    """Return the signature keys of a key set.

    Raise `ValueError` if there is none: that is a mistake of the provider, and no reason to drop the cached keys.
    """
    keys = document.get("keys") if isinstance(document, dict) else None
    signature_keys = [key for key in keys[:MAX_KEYS] if is_signature_key(key)] if isinstance(keys, list) else []
    if not signature_keys:
        raise ValueError("the key set has no signature key")
    return signature_keys


def is_signature_key(key: Any) -> bool:
    return (
        isinstance(key, dict)
        and key.get("kty") in ALGORITHMS_BY_KEY_TYPE
        and key.get("use", "sig") == "sig"
        and (key.get("key_ops") is None or "verify" in list(key["key_ops"]))
    )


def supports(key: dict[str, Any], algorithm: str) -> bool:
    """Return whether a key may be used with an algorithm. Its `alg` may restrict it to one."""
    return key["kty"] == KEY_TYPE_BY_ALGORITHM.get(algorithm) and key.get("alg", algorithm) == algorithm


def parse_key(jwk: dict[str, Any]) -> Key | None:
    """Return the public key of a JWK, or None if it is malformed or too short."""
    try:
        key = import_key({name: jwk[name] for name in KEY_PARAMETERS if name in jwk})
    except (JoseError, ValueError, TypeError):
        return None
    return None if isinstance(key, RSAKey) and key.public_key.key_size < MIN_RSA_KEY_BITS else key


@asynccontextmanager
async def open_key_set(url: str) -> AsyncIterator[RemoteKeySet]:
    """Open the key set at a URL. Redirects are not followed: only the configured URL is trusted."""
    async with httpx.AsyncClient(timeout=FETCH_TIMEOUT_SECONDS, follow_redirects=False) as client:
        keys = RemoteKeySet(url, client)
        yield keys
        if keys.fetching:
            keys.fetching.cancel()
