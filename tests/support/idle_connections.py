"""Many idle connections to one server, and the memory that they take."""

import asyncio
import os
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

BATCH_SIZE = 200
"""Connections to open at once."""
RESERVED_FILES = 200
"""Files that a process opens for other things."""
CONNECTIONS_PER_ADDRESS = 5000
"""Connections from one local address, whose ports are limited."""


def limit_connections(wanted: int) -> int:
    """Return how many connections a process can open, at most as many as wanted. Raises its limit on open files."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return min(wanted, hard - RESERVED_FILES)


def read_memory(pid: int) -> float:
    """Return the resident memory of a process, in MiB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


async def read_settled_memory(pid: int) -> float:
    """Wait until the memory of a process is stable, and return it in MiB."""
    before, now = 0.0, read_memory(pid)
    while abs(now - before) > 0.5:
        await asyncio.sleep(0.5)
        before, now = now, read_memory(pid)
    return now


@asynccontextmanager
async def open_idle_connections(url: str, count: int, sent: bytes = b"") -> AsyncIterator[None]:
    """Open connections that send these bytes and then nothing. They are aborted when the scope ends."""
    address, writers = urlsplit(url), []

    async def connect(number: int) -> None:
        local_address = (f"127.0.0.{2 + number // CONNECTIONS_PER_ADDRESS}", 0)
        _, writer = await asyncio.open_connection(address.hostname, address.port, local_addr=local_address, limit=1024)
        writer.write(sent)
        writers.append(writer)

    for start in range(0, count, BATCH_SIZE):
        await asyncio.gather(*(connect(number) for number in range(start, min(start + BATCH_SIZE, count))))
    try:
        yield
    finally:
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0)
