"""Ten thousand who do nothing."""

from pathlib import Path

import httpx
import pytest

from tests.attacks.test_crowds import HALF, idle
from tests.chaos.report import NOTES
from tests.support.crowds import affordable
from tests.support.processes import ServerProcess

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("word", [b"", HALF], ids=["silent", "half a request"])
async def test_ten_thousand_idle_connections(unused_database, tmp_path: Path, word: bytes) -> None:
    """Others are answered meanwhile, and memory returns."""
    count = affordable(10_000)
    server = ServerProcess(tmp_path, await unused_database("sqlite"))
    async with server, httpx.AsyncClient(base_url=server.address, timeout=30) as http:
        before, most, after = await idle(http, server, count, word)
    said = "half a request each" if word else "silent"
    NOTES.append(f"{count} connections, {said}: {before:.0f} MiB before, {most:.0f} at most, {after:.0f} after")
