"""A way to a database that can be shut."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from sqlalchemy import make_url


class Gate:
    """Carries bytes between a port of this machine and a database, until it is shut."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self.writers: set[asyncio.StreamWriter] = set()
        self.server: asyncio.Server | None = None
        self.own_port = 0

    async def open(self) -> None:
        self.server = await asyncio.start_server(self.carry, "127.0.0.1", self.own_port)
        self.own_port = self.server.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        self.server.close()
        for writer in self.writers:
            writer.transport.abort()
        self.writers.clear()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(self.host, self.port)
        self.writers |= {writer, back}
        await asyncio.gather(pump(reader, back), pump(there, writer))


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def gate(url: str) -> AsyncIterator[tuple[str, Callable[[], Awaitable[None]], Callable[[], Awaitable[None]]]]:
    """The URL through the gate, and how to shut and open it."""
    target = make_url(url)
    between = Gate(target.host or "127.0.0.1", target.port or 5432)
    await between.open()
    through = target.set(host="127.0.0.1", port=between.own_port).render_as_string(hide_password=False)
    try:
        yield through, between.shut, between.open
    finally:
        await between.shut()
