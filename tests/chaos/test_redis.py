"""Redis goes, hangs, and comes back: limits are each process's own meanwhile, and nobody is refused for it."""

import asyncio
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.chaos.conftest import on_postgres
from tests.support.clusters import Cluster
from tests.support.proxy import open_proxy
from tests.support.stores import free_port, start_redis

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("how", ["stops", "hangs"])
async def test_redis_is_away(cluster: Cluster, tmp_path: Path, how: str) -> None:
    """Every request is answered, the first of them half a second later."""
    with ExitStack() as redis:
        address = redis.enter_context(start_redis(tmp_path, port := free_port()))
        async with open_proxy(address) as proxy:
            settings = {"REDIS_URL": f"redis://127.0.0.1:{proxy.port}", "RATE_LIMIT_API": "1000000/minute"}
            async with on_postgres(f"Redis {how} for 5 s", cluster, tmp_path, **settings) as scene:
                if how == "hangs":
                    proxy.flowing.clear()
                else:
                    await asyncio.to_thread(redis.close)
                await asyncio.sleep(5)
                if how == "hangs":
                    proxy.flowing.set()
                else:
                    await asyncio.to_thread(redis.enter_context, start_redis(tmp_path, port))
                await scene.mended()
            await scene.judge(codes=set())
