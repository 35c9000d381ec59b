"""Postgres crashes, hangs, and is taken over from."""

import asyncio
from pathlib import Path

import pytest

from tests.chaos.conftest import on_postgres
from tests.support.clusters import Cluster

pytestmark = pytest.mark.anyio

AWAY = {"503 UNAVAILABLE", "UNAVAILABLE", "409 CONFLICT", "CONFLICT"}
"""A write whose commit was acknowledged to nobody is a conflict when it is sent again, which says what it changed."""


async def test_postgres_crashes_and_comes_back(cluster: Cluster, tmp_path: Path) -> None:
    """503 while it is away; what it acknowledged it has written down."""
    async with on_postgres("Postgres crashes for 3 s", cluster, tmp_path) as scene:
        await asyncio.to_thread(cluster.crash)
        await asyncio.sleep(3)
        await asyncio.to_thread(cluster.start)
        await scene.mended()
    await scene.judge(codes=AWAY)


async def test_postgres_hangs(cluster: Cluster, tmp_path: Path) -> None:
    """Connections stand, and nothing comes: 503 within the bound, and nobody waits longer."""
    async with on_postgres("Postgres hangs for 8 s", cluster, tmp_path) as scene:
        scene.proxy.flowing.clear()
        await asyncio.sleep(8)
        scene.proxy.flowing.set()
        await scene.mended()
    await scene.judge(codes=AWAY)


async def test_the_network_to_postgres_breaks_again_and_again(cluster: Cluster, tmp_path: Path) -> None:
    """In the middle of whatever is under way, a commit among it."""
    async with on_postgres("20 breaks of every connection to Postgres", cluster, tmp_path) as scene:
        for _ in range(20):
            scene.proxy.cut()
            await scene.clients.seen(3)
        await scene.mended()
    await scene.judge(codes=AWAY)


async def test_postgres_fails_over(cluster: Cluster, tmp_path: Path) -> None:
    """Its standby, which has all that was acknowledged, takes its place at the same address."""
    async with on_postgres("Postgres fails over to its standby", cluster, tmp_path) as scene:
        standby = Cluster(cluster.folder.parent / "standby")
        await asyncio.to_thread(standby.follow, cluster)
        standby.start()
        try:
            await cluster.execute("alter system set synchronous_standby_names = '*'", "select pg_reload_conf()")
            await scene.clients.seen(20)
            await asyncio.to_thread(cluster.crash)
            await standby.execute("select pg_promote()")
            scene.proxy.server = f"tcp://127.0.0.1:{standby.port}"
            await scene.mended()
            url = standby.url.render_as_string(hide_password=False)
            scene.clients.over = True
            await scene.judge(url=url, codes=AWAY)
        finally:
            await asyncio.sleep(0.5)
            standby.stop()
