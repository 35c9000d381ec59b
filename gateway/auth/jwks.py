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

FAMILIES = {
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "EC": ("ES256", "ES384", "ES512"),
    "OKP": ("EdDSA",),
}
"""What each kind of key signs with. A secret (`oct`) is no public key, so there is no HS here."""
FAMILY_OF = {algorithm: family for family, algorithms in FAMILIES.items() for algorithm in algorithms}

LIFE = 300.0
"""Seconds after which keys are fetched again, beside whoever asks for one; so one that was withdrawn goes."""
PAUSE = 10.0
"""Seconds from one fetching to the next at least, however many tokens name keys that nobody knows."""
PATIENCE = 5.0
LONGEST, MOST = 256 * 1024, 100
"""Bytes of a key set, and keys in it, that are read."""

logger = logging.getLogger("gateway.identity")


class KeySet:
    """The keys at one address."""

    def __init__(self, url: str, client: httpx.AsyncClient) -> None:
        self.url, self.client = url, client
        self.known: list[dict[str, Any]] = []
        self.made: dict[tuple[Any, str], PyJWK] = {}
        """Those that were used, ready to verify with."""
        self.fetched_at = self.tried_at = float("-inf")
        self.is_away = False
        """Whether the last fetching failed."""
        self.fetching: asyncio.Task[None] | None = None

    async def find(self, kid: Any, algorithm: str) -> PyJWK | None:
        """The key that a token names. Refuses with `Unavailable` what cannot be told while the provider is away."""
        now = time.monotonic()
        if now - self.fetched_at > LIFE:
            self.fetch(now)
        if (key := self.key(kid, algorithm)) is not None:
            return key
        self.fetch(now)
        if self.fetching:
            await asyncio.shield(self.fetching)
        key = self.key(kid, algorithm)
        if key is None and self.is_away:
            raise Unavailable("The identity provider's keys cannot be fetched; try again")
        return key

    def key(self, kid: Any, algorithm: str) -> PyJWK | None:
        """The one key that fits; a token that names none needs none where there is no choice."""
        if (made := self.made.get((kid, algorithm))) is not None:
            return made
        fitting = [key for key in self.known if kid in (key.get("kid"), None) and fits(key, algorithm)]
        if len(fitting) != 1:
            return None
        with suppress(PyJWTError):
            return self.made.setdefault((kid, algorithm), PyJWK(fitting[0], algorithm))
        return None

    def fetch(self, now: float) -> None:
        """Begin, unless that was done a moment ago; whoever gives up waiting does not end it for the others."""
        if self.fetching is None and now - self.tried_at >= PAUSE:
            self.tried_at = now
            self.fetching = asyncio.create_task(self.fetched(), name="identity provider's keys")

    async def fetched(self) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                self.known = list(usable(await self.read()))
            self.made, self.fetched_at, self.is_away = {}, time.monotonic(), False
        except (httpx.HTTPError, TimeoutError, ValueError, TypeError) as error:
            self.is_away = True
            logger.warning("The keys at %s cannot be fetched: %s", self.url, error or type(error).__name__)
        finally:
            self.fetching = None

    async def read(self) -> Any:
        body = b""
        async with self.client.stream("GET", self.url, headers={"Accept": "application/json"}) as response:
            if response.status_code != httpx.codes.OK:
                raise ValueError(f"status {response.status_code}")
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > LONGEST:
                    raise ValueError(f"more than {LONGEST} bytes")
        return orjson.loads(body)


def usable(document: Any) -> Iterator[dict[str, Any]]:
    """A set's keys for verifying. One without any is a mistake, and no reason to forget those that there were."""
    keys = document.get("keys") if isinstance(document, dict) else None
    found = [key for key in keys[:MOST] if verifies(key)] if isinstance(keys, list) else []
    if not found:
        raise ValueError("there is no key to verify with")
    yield from found


def verifies(key: Any) -> bool:
    return (
        isinstance(key, dict)
        and key.get("kty") in FAMILIES
        and key.get("use", "sig") == "sig"
        and (key.get("key_ops") is None or "verify" in list(key["key_ops"]))
    )


def fits(key: dict[str, Any], algorithm: str) -> bool:
    """Whether a key is one for an algorithm; it may say that it is for no other."""
    return key["kty"] == FAMILY_OF.get(algorithm) and key.get("alg", algorithm) == algorithm


@asynccontextmanager
async def key_set(url: str) -> AsyncIterator[KeySet]:
    """Follows no redirects: the address that was set is the one that is trusted."""
    async with httpx.AsyncClient(timeout=PATIENCE, follow_redirects=False) as client:
        keys = KeySet(url, client)
        yield keys
        if keys.fetching:
            keys.fetching.cancel()
