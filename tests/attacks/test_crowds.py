"""Many who do nothing. Here two thousand of them; `make chaos` has ten thousand."""

import asyncio
import sys
from pathlib import Path

import httpx
import pytest

from tests.support.crowds import affordable, crowd, memory, settled
from tests.support.patience import PATIENCE, until
from tests.support.processes import ServerProcess

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads a process's memory from /proc"),
]

COUNT = 2000
EACH = 64 / 1024
"""Mebibytes that a connection may take at most."""
SLACK = 12.0
"""Mebibytes that an allocator may keep of what was used, of however few."""
KEPT = 1 / 2
"""And of many."""
HALF = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"


@pytest.mark.parametrize("word", [b"", HALF], ids=["silent", "half a request"])
async def test_idle_connections_take_nobody_s_place_and_memory_returns(
    unused_database, tmp_path: Path, word: bytes
) -> None:
    """Others are answered meanwhile, a second crowd finds room where the first was, and then the system has it back."""
    async with ServerProcess(tmp_path, await unused_database("sqlite")) as server:
        async with httpx.AsyncClient(base_url=server.address, timeout=20) as http:
            await idle(http, server, affordable(COUNT), word)
        assert "Traceback" not in server.log.read_text()


async def idle(http: httpx.AsyncClient, server: ServerProcess, count: int, word: bytes) -> tuple[float, float, float]:
    """Mebibytes before, during and after two crowds; each time somebody else is answered."""
    await http.get("/api/posts")
    held, process = [memory(server.process.pid)], server.process.pid
    for _ in range(2):
        async with crowd(server.address, count, word):
            await answered(http)
            held.append(await settled(process))
        await answered(http)
    before, first, second = held
    kept = before + KEPT * (max(first, second) - before) + SLACK
    await until(lambda: memory(process) < kept)
    assert first - before < count * EACH + SLACK
    assert second - first < (first - before) / 3 + SLACK, "what the first crowd held was not freed"
    return before, max(first, second), memory(process)


async def answered(http: httpx.AsyncClient) -> None:
    """Somebody else is. On a busy machine a server has yet to look at hundreds of requests, and says to come again."""
    async with asyncio.timeout(PATIENCE):
        while (answer := await http.get("/api/posts")).status_code == 503:
            assert answer.headers["retry-after"]
            await asyncio.sleep(0.1)
    assert answer.status_code == 200
