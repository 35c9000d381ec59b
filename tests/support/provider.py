"""An identity provider on a socket: it signs tokens, and says with which keys."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

AUDIENCE = "https://api.example.com"

MAKERS = {
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
    "PS256": lambda: rsa.generate_private_key(65537, 2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ES384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


@dataclass
class IdentityProvider:
    """Its keys may change, it may fall silent or go away, and it counts how often it was asked."""

    keys: dict[str, tuple[str, Any]] = field(default_factory=dict)
    address: str = ""
    body: bytes | None = None
    """What it says instead of its keys."""
    status: int = 200
    asked: int = 0
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def issuer(self) -> str:
        return f"{self.address}/"

    @property
    def settings(self) -> dict[str, str]:
        return {"auth_jwks_url": f"{self.address}/keys", "auth_issuer": self.issuer, "auth_audience": AUDIENCE}

    def make(self, kid: str, algorithm: str = "ES256") -> None:
        self.keys[kid] = algorithm, MAKERS[algorithm]()

    def token(self, kid: str = "one", header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A good one, but for what is said otherwise; a claim that is None is left out."""
        algorithm, key = self.keys[kid]
        return jwt.encode(self.claims(**claims), key, algorithm, {"kid": kid, **(header or {})})

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = int(time.time())
        usual = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": "ann",
            "iat": now,
            "exp": now + 300,
            "name": "Ann Elsewhere",
        }
        return {name: value for name, value in {**usual, **changes}.items() if value is not None}

    def headers(self, *given: Any, **claims: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(*given, **claims)}"}

    def public(self, kid: str) -> dict[str, Any]:
        algorithm, key = self.keys[kid]
        jwk = get_default_algorithms()[algorithm].to_jwk(key.public_key(), as_dict=True)
        return {**jwk, "kid": kid, "use": "sig"}

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, OSError):
            while await reader.readuntil(b"\r\n\r\n"):
                self.asked += 1
                await self.may_answer.wait()
                body = self.body or json.dumps({"keys": [self.public(kid) for kid in self.keys]}).encode()
                head = f"HTTP/1.1 {self.status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
                writer.write(head.encode() + b"Location: /elsewhere\r\n\r\n" + body)
                await writer.drain()
        writer.close()


def forged(header: dict[str, Any], claims: dict[str, Any], secret: bytes | None = None) -> str:
    """A token made by hand, signed with a secret where there is one."""
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)]
    signature = hmac.new(secret, b".".join(parts), hashlib.sha256).digest() if secret else b""
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


@asynccontextmanager
async def identity_provider() -> AsyncIterator[IdentityProvider]:
    provider = IdentityProvider()
    provider.make("one")
    provider.may_answer.set()
    server = await asyncio.start_server(provider.answer, "127.0.0.1", 0)
    provider.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield provider
    finally:
        provider.may_answer.set()
        server.close()
