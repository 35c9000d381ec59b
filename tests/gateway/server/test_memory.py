"""The memory of a closed connection is freed by reference counting, without the garbage collector."""

import asyncio
import gc
import weakref

import pytest

from tests.support.live_server import open_live_server
from tests.support.raw_http import get, open_raw_connection
from tests.support.waiting import wait_until

pytestmark = pytest.mark.anyio

HALF_A_REQUEST = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"


@pytest.mark.parametrize(
    "sent",
    [b"", HALF_A_REQUEST, get(b"/api/health"), get(b"/api/health") * 3],
    ids=["nothing", "half a request", "a request", "pipelined requests"],
)
async def test_a_closed_connection_leaves_no_reference_cycles(sqlite_url: str, sent: bytes) -> None:
    async with open_live_server(sqlite_url) as live:
        connections = live.server.server_state.connections
        gc.disable()
        try:
            async with open_raw_connection(live.address) as (_, writer):
                writer.write(sent)
                await wait_until(lambda: connections)
                await asyncio.sleep(0.2)
                references = [weakref.ref(connection) for connection in connections]
                writer.transport.abort()
            await wait_until(lambda: not any(reference() for reference in references))
        finally:
            gc.enable()
