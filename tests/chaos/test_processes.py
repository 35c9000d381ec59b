"""A worker is killed where it stands."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from tests.chaos.clients import BROKEN
from tests.chaos.conftest import on_postgres
from tests.support.clusters import Cluster

pytestmark = pytest.mark.anyio


def workers(process: int) -> list[int]:
    """The processes that answer: of the supervisor's children, those that run this program."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [int(child) for child in children if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text()]


async def test_a_worker_is_killed(cluster: Cluster, tmp_path: Path) -> None:
    """Its connections break; the other worker answers, and another takes its place. Nothing is lost, or done twice."""
    async with on_postgres("a worker of 2 is killed, twice", cluster, tmp_path, "--workers", "2") as scene:
        for _ in range(2):
            victim, *_ = workers(scene.server.process.pid)
            os.kill(victim, signal.SIGKILL)
            await scene.mended()
            async with asyncio.timeout(30):
                while victim in (now := workers(scene.server.process.pid)) or len(now) < 2:  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.05)
    await scene.judge(codes={BROKEN})
