"""An identity provider's public keys: fetched when needed, kept while it is away, fetched anew when it changes them."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
import orjson
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from models.errors import Unavailable

ALGORITHMS_BY_KEY_TYPE = {
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "EC": ("ES256", "ES384", "ES512"),
    "OKP": ("EdDSA",),
}
"""What each kind of key signs with. A secret (`oct`) is no public key, so there is no HS here."""
KEY_TYPE_BY_ALGORITHM = {
    algorithm: family for family, algorithms in ALGORITHMS_BY_KEY_TYPE.items() for algorithm in algorithms
}

MAX_AGE_SECONDS = 300.0
"""Seconds after which keys are fetched again, beside whoever asks for one; so one that was withdrawn goes."""
MIN_FETCH_INTERVAL_SECONDS = 10.0
"""Seconds from one fetching to the next at least, however many tokens name keys that nobody knows."""
FETCH_TIMEOUT_SECONDS = 5.0
MAX_DOCUMENT_BYTES, MAX_KEYS = 256 * 1024, 100
"""Bytes of a key set, and keys in it, that are read."""

logger = logging.getLogger("gateway.auth")


class RemoteKeySet:
    """The keys at one address."""

    def __init__(self, url: str, client: httpx.AsyncClient) -> None:
        self.url, self.client = url, client
        self.keys: list[dict[str, Any]] = []
        self.parsed: dict[tuple[Any, str], PyJWK] = {}
        """Those that were used, ready to verify with."""
        self.fetched_at = self.tried_at = float("-inf")
        self.last_fetch_failed = False
        """Whether the last fetching failed."""
        self.fetching: asyncio.Task[None] | None = None

    async def get_key(self, kid: Any, algorithm: str) -> PyJWK | None:
        """The key that a token names. Refuses with `Unavailable` what cannot be told while the provider is away."""
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

    def match_key(self, kid: Any, algorithm: str) -> PyJWK | None:
        """The one key that supports; a token that names none needs none where there is no choice."""
        if (made := self.parsed.get((kid, algorithm))) is not None:
            return made
        fitting = [key for key in self.keys if kid in (key.get("kid"), None) and supports(key, algorithm)]
        if len(fitting) != 1:
            return None
        with suppress(PyJWTError):
            return self.parsed.setdefault((kid, algorithm), PyJWK(fitting[0], algorithm))
        return None

    def start_fetch(self, now: float) -> None:
        """Begin, unless that was done a moment ago; whoever gives up waiting does not end it for the others."""
        if self.fetching is None and now - self.tried_at >= MIN_FETCH_INTERVAL_SECONDS:
            self.tried_at = now
            self.fetching = asyncio.create_task(self._fetch(), name="identity provider's keys")

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(FETCH_TIMEOUT_SECONDS):
                self.keys = list(filter_keys(await self._download()))
            self.parsed, self.fetched_at, self.last_fetch_failed = {}, time.monotonic(), False
        except (httpx.HTTPError, TimeoutError, ValueError, TypeError) as error:
            self.last_fetch_failed = True
            logger.warning("The keys at %s cannot be fetched: %s", self.url, error or type(error).__name__)
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


def filter_keys(document: Any) -> Iterator[dict[str, Any]]:
    """A set's keys for verifying. One without any is a mistake, and no reason to forget those that there were."""
    keys = document.get("keys") if isinstance(document, dict) else None
    found = [key for key in keys[:MAX_KEYS] if is_signature_key(key)] if isinstance(keys, list) else []
    if not found:
        raise ValueError("there is no key to verify with")
    yield from found


def is_signature_key(key: Any) -> bool:
    return (
        isinstance(key, dict)
        and key.get("kty") in ALGORITHMS_BY_KEY_TYPE
        and key.get("use", "sig") == "sig"
        and (key.get("key_ops") is None or "verify" in list(key["key_ops"]))
    )


def supports(key: dict[str, Any], algorithm: str) -> bool:
    """Whether a key is one for an algorithm; it may say that it is for no other."""
    return key["kty"] == KEY_TYPE_BY_ALGORITHM.get(algorithm) and key.get("alg", algorithm) == algorithm


@asynccontextmanager
async def open_key_set(url: str) -> AsyncIterator[RemoteKeySet]:
    """Follows no redirects: the address that was set is the one that is trusted."""
    async with httpx.AsyncClient(timeout=FETCH_TIMEOUT_SECONDS, follow_redirects=False) as client:
        keys = RemoteKeySet(url, client)
        yield keys
        if keys.fetching:
            keys.fetching.cancel()
