"""Many connections to one server that do nothing, and what they cost it."""

import asyncio
import os
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

AT_ONCE = 200
SPARE = 200
"""Files that a process opens for other things."""


def affordable(wanted: int) -> int:
    """As many connections as a process may have files open, up to so many; that limit is raised where it may be."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return min(wanted, hard - SPARE)


def memory(process: int) -> float:
    """Mebibytes that a process holds."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


async def settled(process: int) -> float:
    """The same, once it has taken in what it was sent."""
    before, now = 0.0, memory(process)
    while abs(now - before) > 0.5:
        await asyncio.sleep(0.5)
        before, now = now, memory(process)
    return now


@asynccontextmanager
async def crowd(address: str, count: int, word: bytes = b"") -> AsyncIterator[list[asyncio.StreamReader]]:
    """That many connections, each of which has said its word and waits; from several addresses, for ports are few."""
    place, writers, readers = urlsplit(address), [], []

    async def join(number: int) -> None:
        here = (f"127.0.0.{2 + number // 5000}", 0)
        reader, writer = await asyncio.open_connection(place.hostname, place.port, local_addr=here, limit=1024)
        writer.write(word)
        readers.append(reader)
        writers.append(writer)

    for start in range(0, count, AT_ONCE):
        await asyncio.gather(*(join(number) for number in range(start, min(start + AT_ONCE, count))))
    try:
        yield readers
    finally:
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0)
