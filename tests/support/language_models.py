"""A server that speaks OpenAI's protocol and does as it is told: slow, failing, cut off, or talking nonsense."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from anyio.from_thread import start_blocking_portal

EVENTS = "text/event-stream"


@dataclass
class Call:
    """One request, and what is answered to it."""

    writer: asyncio.StreamWriter
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the caller has gone before its answer was whole."""

    async def head(self, status: int = 200, content_type: str = EVENTS, **headers: str) -> None:
        output = {"Content-Type": content_type, "Transfer-Encoding": "chunked", "Connection": "close", **headers}
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in output.items())
        await self.write(f"HTTP/1.1 {status} As Told\r\n{lines}\r\n".encode())

    async def raw(self, body: bytes) -> None:
        await self.write(b"%x\r\n%b\r\n" % (len(body), body))

    async def chunk(self, *choices: dict[str, Any], **others: Any) -> None:
        """One frame, as OpenAI's are."""
        chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": self.body["model"]}
        await self.raw(b"data: %b\n\n" % json.dumps({**chunk, "choices": list(choices), **others}).encode())

    async def send(self, *texts: str | None) -> None:
        for text in texts:
            await self.chunk({"index": 0, "delta": {"content": text}, "finish_reason": None})

    async def finish(self, reason: str = "stop") -> None:
        await self.chunk({"index": 0, "delta": {}, "finish_reason": reason})
        await self.raw(b"data: [DONE]\n\n")

    async def end(self) -> None:
        await self.write(b"0\r\n\r\n")

    async def refuse(self, status: int, message: str) -> None:
        await self.head(status, "application/json")
        await self.raw(json.dumps({"error": {"message": message, "type": "error", "code": "no"}}).encode())
        await self.end()

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def cut(self) -> None:
        self.writer.transport.abort()


Script = Callable[[Call], Awaitable[None]]


async def friendly(call: Call) -> None:
    """What it answers unless it is told otherwise."""
    await call.head()
    await call.chunk({"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None})
    await call.send("A strip ", "of leather.")
    await call.finish()
    await call.end()


@dataclass
class ModelServer:
    """The server; one call for each connection."""

    script: Script = friendly
    calls: asyncio.Queue[Call] = field(default_factory=asyncio.Queue)
    address: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            call = await asked(reader, writer)
            self.calls.put_nowait(call)
            answering = asyncio.create_task(self.script(call))
            leaving = asyncio.create_task(reader.read())
            await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not answering.done() or answering.exception():
                call.left.set()
            answering.cancel()
            leaving.cancel()
            await asyncio.gather(answering, leaving, return_exceptions=True)
        writer.close()


async def asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Call:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    headers = dict(line.lower().split(": ", 1) if ":" in line else (line, "") for line in lines)
    body = await reader.readexactly(int(headers["content-length"]))
    return Call(writer, first.split()[1], headers, json.loads(body))


@asynccontextmanager
async def language_model(script: Script = friendly) -> AsyncIterator[ModelServer]:
    """The server in the test's own event loop."""
    model = ModelServer(script)
    listener = await asyncio.start_server(model.serve, "127.0.0.1", 0)
    model.address = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/v1"
    try:
        yield model
    finally:
        listener.close()


@contextmanager
def language_model_beside() -> Iterator[str]:
    """The address of a friendly one in a thread of its own, for tests without a loop."""
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(language_model()) as model:
        yield model.address
