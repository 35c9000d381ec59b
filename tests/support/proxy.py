"""A TCP proxy, to break the network between a client and a server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

from sqlalchemy import make_url

CHUNK = 1 << 16


class Proxy:
    """A TCP proxy in front of a server."""

    def __init__(self, server: str) -> None:
        """`server` is the URL of one, of any kind, or the path of a Unix socket as `unix:/…`; the wire can be laid to
        another at any time."""
        self.server = server
        self.address, self.port = "", 0
        self.is_down = False
        self.made = 0
        """How many connections there were."""
        self.writers: set[asyncio.StreamWriter] = set()
        self.flowing = asyncio.Event()
        """Not while nothing comes through, in either direction, and neither end is told."""
        self.flowing.set()
        self.swallowed = b""
        """What comes with these bytes in it never arrives, and neither end is told."""

    def shut(self) -> None:
        """Abort all connections and refuse new ones until `open()`."""
        self.is_down = True
        self.cut()

    def open(self) -> None:
        self.is_down = False

    def cut(self) -> int:
        """Abort all connections, and return their number."""
        broken = len(self.writers) // 2
        for writer in list(self.writers):
            writer.transport.abort()
        return broken

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one connection until either end closes it."""
        upstream = None
        with suppress(OSError):
            if not self.is_down:
                upstream = await connect(self.server)
        if upstream is None:
            return writer.transport.abort()
        self.made += 1
        self.writers |= {writer, upstream[1]}
        try:
            await asyncio.gather(self.pass_on(reader, upstream[1]), self.pass_on(upstream[0], writer))
        finally:
            self.writers -= {writer, upstream[1]}
        return None

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward bytes until one end closes, then close the other."""
        with suppress(OSError):
            while chunk := await reader.read(CHUNK):
                await self.flowing.wait()
                if self.swallowed and self.swallowed in chunk:
                    continue
                writer.write(chunk)
                await writer.drain()
        with suppress(OSError):
            writer.close()


async def connect(server: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    place = urlsplit(server)
    if place.scheme == "unix":
        return await asyncio.open_unix_connection(place.path)
    return await asyncio.open_connection(place.hostname, place.port)


@asynccontextmanager
async def open_proxy(server: str) -> AsyncIterator[Proxy]:
    proxy = Proxy(server)
    listener = await asyncio.start_server(proxy.carry, "127.0.0.1", 0)
    proxy.port = listener.sockets[0].getsockname()[1]
    proxy.address = f"http://127.0.0.1:{proxy.port}"
    try:
        yield proxy
    finally:
        listener.close()
        proxy.cut()


@asynccontextmanager
async def open_postgres_proxy(url: str) -> AsyncIterator[tuple[Proxy, str]]:
    """A wire to a database's server, and the URL of the database by way of it."""
    database = make_url(url)
    folder, port = database.query.get("host"), database.query.get("port") or database.port or 5432
    async with open_proxy(f"unix:{folder}/.s.PGSQL.{port}" if folder else f"tcp://{database.host}:{port}") as proxy:
        through = database.difference_update_query(["host", "port"]).set(host="127.0.0.1", port=proxy.port)
        yield proxy, through.render_as_string(hide_password=False)
