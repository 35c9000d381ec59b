"""Several processes on one socket: who ends is replaced, and who cannot be replaced yet takes nobody along."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from tests.support.patience import until
from tests.support.processes import ServerProcess, workers
from tests.support.wires import wired_postgres

pytestmark = pytest.mark.anyio

READY, FAILED = "Application startup complete", "could not start; trying again"


def said(server: ServerProcess, words: str) -> int:
    """How often a server's log has these words."""
    return server.log.read_text().count(words)


@asynccontextmanager
async def two_workers(folder: Path, url: str, **environment: str) -> AsyncIterator[ServerProcess]:
    server = ServerProcess(folder, url, **environment)
    server.command += ["--workers", "2"]
    async with server:
        await until(lambda: said(server, READY) == 2)
        yield server


async def test_a_worker_that_cannot_start_takes_nobody_along(postgres_url: str, tmp_path: Path) -> None:
    """Not those that answer; and once what kept it from starting is over, its place is taken."""
    async with wired_postgres(postgres_url) as (wire, through), two_workers(tmp_path, through) as server:
        wire.shut()
        victim, survivor = workers(server.process.pid)
        os.kill(victim, signal.SIGKILL)
        await until(lambda: said(server, FAILED))
        assert survivor in workers(server.process.pid)
        async with httpx.AsyncClient(base_url=server.address) as http:
            assert (await http.get("/api/health/live")).status_code == 200
        wire.open()
        await until(lambda: said(server, READY) == 3)
        assert await server.stop() == 0


@pytest.mark.parametrize("number", [1, 2])
async def test_a_server_none_of_whose_workers_can_start_ends_as_a_failure(
    sqlite_url: str, tmp_path: Path, number: int
) -> None:
    """However many there are to be."""
    server = ServerProcess(tmp_path, sqlite_url, UPLOAD_URL="file:///proc/none")
    server.command += ["--workers", str(number)]
    with pytest.raises(RuntimeError, match="exit code 3"):
        await server.start()


async def test_workers_stop_when_the_process_that_started_them_is_killed(sqlite_url: str, tmp_path: Path) -> None:
    """Nobody could stop them, or start them anew, and they would keep the port."""
    async with two_workers(tmp_path, sqlite_url) as server:
        left = workers(server.process.pid)
        await server.kill()
        await until(lambda: not any(Path(f"/proc/{each}").exists() for each in left))
