"""Ten thousand idle connections."""

from pathlib import Path

import httpx
import pytest

from tests.chaos.report import NOTES
from tests.security.test_idle_connections import HALF_A_REQUEST, measure_idle_connections
from tests.support.idle_connections import limit_connections
from tests.support.processes import ServerProcess

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("sent", [b"", HALF_A_REQUEST], ids=["silent", "half a request"])
async def test_ten_thousand_idle_connections(unused_database, tmp_path: Path, sent: bytes) -> None:
    """Other clients are answered meanwhile, and the next connections take the memory of the first."""
    count = limit_connections(10_000)
    server = ServerProcess(tmp_path, await unused_database("sqlite"))
    async with server, httpx.AsyncClient(base_url=server.address, timeout=30) as http:
        before, peak, after = await measure_idle_connections(http, server, count, sent)
    kind = "half a request each" if sent else "silent"
    NOTES.append(f"{count} connections, {kind}: {before:.0f} MiB before, {peak:.0f} at most, {after:.0f} after")
