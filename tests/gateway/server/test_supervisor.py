"""Several workers on one socket: one that exits is replaced, and one that cannot start takes no other down."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from tests.support.processes import ServerProcess, get_worker_pids
from tests.support.proxy import open_postgres_proxy
from tests.support.waiting import wait_until

pytestmark = pytest.mark.anyio

READY, FAILED = "Application startup complete", "could not start; trying again"


def count_in_log(server: ServerProcess, text: str) -> int:
    return server.log.read_text().count(text)


@asynccontextmanager
async def run_two_workers(folder: Path, url: str, **environment: str) -> AsyncIterator[ServerProcess]:
    server = ServerProcess(folder, url, **environment)
    server.command += ["--workers", "2"]
    async with server:
        await wait_until(lambda: count_in_log(server, READY) == 2)
        yield server


async def test_a_worker_that_cannot_start_takes_no_other_down(postgres_url: str, tmp_path: Path) -> None:
    """It is started again once the database is back."""
    async with open_postgres_proxy(postgres_url) as (proxy, through), run_two_workers(tmp_path, through) as server:
        proxy.shut()
        victim, survivor = get_worker_pids(server.process.pid)
        os.kill(victim, signal.SIGKILL)
        await wait_until(lambda: count_in_log(server, FAILED))
        assert survivor in get_worker_pids(server.process.pid)
        async with httpx.AsyncClient(base_url=server.address) as http:
            assert (await http.get("/api/health/live")).status_code == 200
        proxy.open()
        await wait_until(lambda: count_in_log(server, READY) == 3)
        assert await server.stop() == 0


@pytest.mark.parametrize("number", [1, 2])
async def test_a_server_exits_with_an_error_if_no_worker_can_start(
    sqlite_url: str, tmp_path: Path, number: int
) -> None:
    server = ServerProcess(tmp_path, sqlite_url, UPLOAD_URL="file:///proc/none")
    server.command += ["--workers", str(number)]
    with pytest.raises(RuntimeError, match="exit code 3"):
        await server.start()


async def test_workers_exit_when_their_supervisor_is_killed(sqlite_url: str, tmp_path: Path) -> None:
    """Otherwise they would keep the port, and nothing could stop or replace them."""
    async with run_two_workers(tmp_path, sqlite_url) as server:
        pids = get_worker_pids(server.process.pid)
        await server.kill()
        await wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
