"""Thousands of idle connections. This test opens 2,000 of them; `make chaos` opens 10,000."""

import asyncio
import sys
from pathlib import Path

import httpx
import pytest

from tests.support.idle_connections import (
    limit_connections,
    open_idle_connections,
    read_memory,
    read_settled_memory,
)
from tests.support.processes import ServerProcess
from tests.support.waiting import TEST_TIMEOUT_SECONDS

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads a process's memory from /proc"),
]

COUNT = 2000
MAX_CONNECTION_MIB = 64 / 1024
ALLOCATOR_SLACK_MIB = 12.0
"""Memory that an allocator may keep or need beyond what the connections use, however few they are."""
HALF_A_REQUEST = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"


@pytest.mark.parametrize("sent", [b"", HALF_A_REQUEST], ids=["silent", "half a request"])
async def test_idle_connections_hold_up_nobody_and_their_memory_is_used_again(
    unused_database, tmp_path: Path, sent: bytes
) -> None:
    """Other clients are answered meanwhile, and the next connections take the memory of the first."""
    async with ServerProcess(tmp_path, await unused_database("sqlite")) as server:
        async with httpx.AsyncClient(base_url=server.address, timeout=20) as http:
            await measure_idle_connections(http, server, limit_connections(COUNT), sent)
        assert "Traceback" not in server.log.read_text()


async def measure_idle_connections(
    http: httpx.AsyncClient, server: ServerProcess, count: int, sent: bytes
) -> tuple[float, float, float]:
    """Return MiB before, during and after idle connections, which are opened twice. The server answers all the time."""
    pid = server.process.pid
    await http.get("/api/posts")
    measured = [read_memory(pid)]
    for _ in range(2):
        async with open_idle_connections(server.address, count, sent):
            await wait_for_response(http)
            measured.append(await read_settled_memory(pid))
        await wait_for_response(http)
    before, first, second = measured
    assert first - before < count * MAX_CONNECTION_MIB + ALLOCATOR_SLACK_MIB
    assert second - first < (first - before) / 3 + ALLOCATOR_SLACK_MIB, "the memory of the first was not used again"
    return before, max(first, second), await read_settled_memory(pid)


async def wait_for_response(http: httpx.AsyncClient) -> None:
    """Another client gets a response. A busy server may answer 503 first, while hundreds of requests are waiting."""
    async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
        while (response := await http.get("/api/posts")).status_code == 503:
            assert response.headers["retry-after"]
            await asyncio.sleep(0.1)
    assert response.status_code == 200
