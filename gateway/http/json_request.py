"""A request with a JSON body, parsed fast and strictly."""

from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request


class JsonRequest(Request):
    """A request whose `json` is stricter than Starlette's: UTF-8, no NaN, no lone surrogates, bounded nesting."""

    content: bytes | None = None

    async def body(self) -> bytes:
        """Return the whole body. Starlette's method uses a generator, which takes three times as long."""
        if self.content is None:
            chunks, more_body = [], True
            while more_body:
                message = await self.receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                chunks.append(message.get("body", b""))
                more_body = message.get("more_body", False)
            self.content = b"".join(chunks)
        return self.content

    async def json(self) -> Any:
        return orjson.loads(await self.body())
