"""An identity provider on a socket: it signs tokens and serves its public keys."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

AUDIENCE = "https://api.example.com"

GENERATE_KEY = {
    "RS256": partial(RSAKey.generate_key, 2048),
    "PS256": partial(RSAKey.generate_key, 2048),
    "ES256": partial(ECKey.generate_key, "P-256"),
    "ES384": partial(ECKey.generate_key, "P-384"),
    "EdDSA": partial(OKPKey.generate_key, "Ed25519"),
}
HASHES = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}


@dataclass
class IdentityProvider:
    """An identity provider whose keys may change, that may be slow or fail, and that counts its requests."""

    keys: dict[str, tuple[str, Key]] = field(default_factory=dict)
    """Algorithm and key by `kid`."""
    address: str = ""
    body: bytes | None = None
    """The response instead of the keys."""
    status: int = 200
    request_count: int = 0
    may_respond: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def issuer(self) -> str:
        return f"{self.address}/"

    @property
    def settings(self) -> dict[str, str]:
        return {"auth_jwks_url": f"{self.address}/keys", "auth_issuer": self.issuer, "auth_audience": AUDIENCE}

    def add_key(self, kid: str, algorithm: str = "ES256") -> None:
        self.keys[kid] = algorithm, GENERATE_KEY[algorithm]()

    def token(self, kid: str = "one", header: dict[str, Any] | None = None, **claims: Any) -> str:
        """Return a valid token, except for the given header and claims. A claim that is None is left out."""
        algorithm, key = self.keys[kid]
        return sign_token({"typ": "JWT", "alg": algorithm, "kid": kid, **(header or {})}, self.claims(**claims), key)

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": "ann",
            "iat": now,
            "exp": now + 300,
            "name": "Ann Elsewhere",
        }
        return {name: value for name, value in {**claims, **changes}.items() if value is not None}

    def headers(self, *arguments: Any, **claims: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(*arguments, **claims)}"}

    def public_jwk(self, kid: str) -> dict[str, Any]:
        _, key = self.keys[kid]
        return {**key.as_dict(private=False), "kid": kid, "use": "sig"}

    async def respond(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, OSError):
            while await reader.readuntil(b"\r\n\r\n"):
                self.request_count += 1
                await self.may_respond.wait()
                body = self.body or json.dumps({"keys": [self.public_jwk(kid) for kid in self.keys]}).encode()
                head = f"HTTP/1.1 {self.status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
                writer.write(head.encode() + b"Location: /elsewhere\r\n\r\n" + body)
                await writer.drain()
        writer.close()


def sign_token(header: dict[str, Any], claims: Any, key: Key | bytes | str | None = None) -> str:
    """Return a token without any of the checks of a JOSE library.

    Bytes and strings sign as a secret, with SHA-256 if `alg` names no hash. Without a key the signature is empty.
    """
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)]
    message = b".".join(parts)
    if isinstance(key, str | bytes):
        secret, algorithm = key.encode() if isinstance(key, str) else key, header.get("alg")
        signature = hmac.new(secret, message, HASHES.get(str(algorithm), hashlib.sha256)).digest()
    else:
        signature = JWSRegistry.algorithms[header["alg"]].sign(message, key) if key else b""
    return b".".join([message, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


@asynccontextmanager
async def identity_provider() -> AsyncIterator[IdentityProvider]:
    provider = IdentityProvider()
    provider.add_key("one")
    provider.may_respond.set()
    server = await asyncio.start_server(provider.respond, "127.0.0.1", 0)
    provider.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield provider
    finally:
        provider.may_respond.set()
        server.close()
