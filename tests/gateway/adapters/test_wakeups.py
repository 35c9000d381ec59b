"""Wake-ups between processes: quick while they come, and late by no more than two seconds when they do not."""

from typing import Any

import pytest
from sqlalchemy import text

from gateway.adapters.wakeups import create_wakeup
from gateway.adapters.wakeups.in_process import InProcessWakeup
from gateway.adapters.wakeups.postgres import PostgresWakeup
from gateway.adapters.wakeups.redis import RedisWakeup
from models import Database
from tests.support.live_server import LiveServer
from tests.support.proxy import open_proxy
from tests.support.servers import build_settings
from tests.support.waiting import wait_until, within
from tests.support.writing import CONTENT

pytestmark = pytest.mark.anyio

POST = {"title": "A post", "content": CONTENT, "status": "PUBLISHED"}
BACKENDS = "from pg_stat_activity where application_name = 'dovetail wake-ups' and datname = current_database()"
LATE = 2.0
"""Seconds within which the log is caught up with, whatever was lost."""


def wakeup(live: LiveServer) -> Any:
    return live.gateway.db.notify.__self__


async def scalar(db: Database, statement: str) -> Any:
    async with db.reading() as session:
        return await session.scalar(text(statement))


async def heard_elsewhere(here: LiveServer, there: LiveServer) -> None:
    """What is written on one server, a follower of the other hears of in time."""
    author = await here.account()
    async with there.feed() as feed:
        await here.graphql.create(author, **POST)
        async with within(LATE):
            assert await feed.types(2) == ["post.created", "post.published"]


async def test_the_settings_decide_which_wakeup_a_server_uses() -> None:
    """Redis where there is one, else what the database can do."""
    urls = {"sqlite": "sqlite+aiosqlite:///x.db", "postgres": "postgresql+asyncpg://x/y"}
    redis = "redis://127.0.0.1:1"
    kinds = [
        type(create_wakeup(build_settings(urls[database], redis_url=url)))
        for database in ("sqlite", "postgres")
        for url in (None, redis)
    ]
    assert kinds == [InProcessWakeup, RedisWakeup, PostgresWakeup, RedisWakeup]


async def test_a_process_wakes_itself(database_url: str, make_live_server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its followers wait for no poll, and for nobody else."""
    monkeypatch.setattr("gateway.events.log.POLL_INTERVAL_SECONDS", 60.0)
    live = await make_live_server(database_url)
    await heard_elsewhere(live, live)


async def test_postgres_wakes_the_other_servers(
    postgres_url: str, make_live_server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By NOTIFY alone: nobody polls here."""
    monkeypatch.setattr("gateway.events.log.POLL_INTERVAL_SECONDS", 60.0)
    here, there = await make_live_server(postgres_url), await make_live_server(postgres_url)
    await wait_until(lambda: wakeup(here).is_connected and wakeup(there).is_connected)
    await heard_elsewhere(here, there)
    await heard_elsewhere(there, here)


async def test_one_connection_listens_for_a_whole_process(unused_database, make_live_server) -> None:
    """However many follow."""
    live = await make_live_server(await unused_database("postgres"))
    await wait_until(lambda: wakeup(live).is_connected)
    async with live.feed(), live.feed(), live.feed():
        assert await scalar(live.db, f"select count(*) {BACKENDS}") == 1


async def test_a_wake_up_that_is_lost_delays_and_loses_nothing(unused_database, make_live_server) -> None:
    """The listening connection is killed: within two seconds all is heard, and soon it listens again."""
    url = await unused_database("postgres")
    here, there = await make_live_server(url), await make_live_server(url)
    await wait_until(lambda: wakeup(here).is_connected and wakeup(there).is_connected)
    author = await here.account()
    async with there.feed() as feed:
        assert await scalar(here.db, f"select count(pg_terminate_backend(pid)) {BACKENDS}") == 2
        await here.graphql.create(author, **POST)
        async with within(LATE):
            assert await feed.types(2) == ["post.created", "post.published"]
        await wait_until(lambda: wakeup(here).is_connected and wakeup(there).is_connected)
        await feed.silence(0.1)
    await heard_elsewhere(here, there)


async def test_redis_wakes_the_other_servers(
    database_url: str, redis_url: str, make_live_server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On either database."""
    monkeypatch.setattr("gateway.events.log.POLL_INTERVAL_SECONDS", 60.0)
    here, there = (
        await make_live_server(database_url, redis_url=redis_url),
        await make_live_server(database_url, redis_url=redis_url),
    )
    await wait_until(lambda: wakeup(here).is_connected and wakeup(there).is_connected)
    await heard_elsewhere(here, there)


async def test_redis_may_go_and_come_back(
    database_url: str, redis_url: str, make_live_server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Meanwhile writes take no longer, and who cannot be woken looks for itself."""
    monkeypatch.setattr("gateway.events.log.POLL_INTERVAL_SECONDS", 60.0)
    async with open_proxy(redis_url) as proxy:
        through = f"redis://127.0.0.1:{proxy.port}"
        here, there = (
            await make_live_server(database_url, redis_url=through),
            await make_live_server(database_url, redis_url=through),
        )
        await wait_until(lambda: wakeup(here).is_connected and wakeup(there).is_connected)
        proxy.shut()
        await wait_until(lambda: not wakeup(here).is_connected)
        await heard_elsewhere(here, there)
        proxy.open()
        await wait_until(lambda: wakeup(here).is_connected and wakeup(there).is_connected)
        await heard_elsewhere(here, there)


async def test_a_subscription_that_went_silent_is_made_again(
    sqlite_url: str, redis_url: str, make_live_server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where something on the way has forgotten it: what is published is still answered, and nothing is heard."""
    monkeypatch.setattr("gateway.adapters.wakeups.reconnecting.HEARTBEAT_SECONDS", 0.2)
    async with open_proxy(redis_url) as proxy:
        live = await make_live_server(sqlite_url, redis_url=f"redis://127.0.0.1:{proxy.port}")
        await wait_until(lambda: wakeup(live).is_connected and proxy.made == 2)
        proxy.swallowed = b"message\r\n"
        await wait_until(lambda: proxy.made > 2)
        proxy.swallowed = b""
        await wait_until(lambda: wakeup(live).is_connected)


async def test_an_announcement_never_waits(make_live_server) -> None:
    """Nor fails, with nobody to announce to."""
    unreachable = RedisWakeup("redis://127.0.0.1:1")
    woken: list[None] = []
    async with unreachable.listen(lambda: woken.append(None)):
        for _ in range(1000):
            unreachable.notify()
    assert len(woken) == 1000
