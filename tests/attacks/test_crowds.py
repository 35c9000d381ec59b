"""Many who do nothing. Here some hundreds of them; `make chaos` has ten thousand."""

import sys
from pathlib import Path

import httpx
import pytest

from tests.support.crowds import affordable, crowd, memory
from tests.support.processes import ServerProcess

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads a process's memory from /proc"),
]

COUNT = 500
EACH = 64 / 1024
"""Mebibytes that a connection may take at most."""
SLACK = 12.0
"""Mebibytes that an allocator may keep of what was used."""
HALF = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"


@pytest.mark.parametrize("word", [b"", HALF], ids=["silent", "half a request"])
async def test_idle_connections_take_nobody_s_place_and_memory_returns(
    unused_database, tmp_path: Path, word: bytes
) -> None:
    """Others are answered meanwhile, and a second crowd finds room where the first was."""
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
            assert (await http.get("/api/posts")).status_code == 200
            held.append(memory(process))
        assert (await http.get("/api/posts")).status_code == 200
    before, first, second, after = *held, memory(process)
    assert first - before < count * EACH + SLACK
    assert second - first < count * EACH / 4 + SLACK, "what the first crowd held was not given back"
    return before, max(first, second), after
