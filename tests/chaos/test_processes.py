"""A worker is killed where it stands."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from tests.chaos.clients import BROKEN
from tests.chaos.conftest import on_postgres
from tests.support.clusters import Cluster
from tests.support.processes import get_worker_pids

pytestmark = pytest.mark.anyio


READY = "Application startup complete"


async def test_a_worker_is_killed(cluster: Cluster, tmp_path: Path) -> None:
    """Its connections break; the other worker answers, and another takes its place. Nothing is lost, or done twice."""
    async with on_postgres("a worker of 2 is killed, twice", cluster, tmp_path, "--workers", "2") as scene:
        for number in range(2):
            async with asyncio.timeout(60):
                while scene.server.log.read_text().count(READY) < 2 + number:  # noqa: ASYNC110 - its log tells
                    await asyncio.sleep(0.05)
            victim, *_ = get_worker_pids(scene.server.process.pid)
            os.kill(victim, signal.SIGKILL)
            await scene.mended()
    await scene.judge(codes={BROKEN, "409 CONFLICT", "CONFLICT"})
