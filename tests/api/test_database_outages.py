"""A database that hangs, is slow, restarts or became read-only: 503 in both protocols, within a bounded time."""

import asyncio
import threading
import time
from uuid import UUID

import pytest
from sqlalchemy import URL, make_url, select, text

from models import Database, Tag
from models.errors import Unavailable
from tests.support.callers import GraphQL, Rest
from tests.support.databases import open_maintenance_connection
from tests.support.proxy import open_postgres_proxy
from tests.support.servers import open_server
from tests.support.waiting import wait_until
from tests.support.writing import CONTENT

pytestmark = pytest.mark.anyio

ROBIN = {"name": "Robin", "email": "robin@example.com", "password": "a long password"}
BOUND = 25.0
"""Seconds for a statement, for a connection, and for closing a connection that does not answer."""


async def test_a_statement_times_out_and_its_connection_stays_usable(postgres_url: str) -> None:
    """In sessions that read and that write."""
    db = Database(postgres_url, pool_size=1, statement_timeout=0.2)
    for scope in (db.reading, db.writing):
        with pytest.raises(Unavailable):
            async with scope() as session:
                await session.execute(text("select pg_sleep(20)"))
        async with scope() as session:
            assert await session.scalar(text("select 1")) == 1
    await db.close()


async def test_a_server_that_became_read_only_is_unavailable(postgres_url: str) -> None:
    """Such as a former primary after a failover."""
    db = Database(postgres_url, pool_size=1)
    async with db.writing() as session:
        await session.execute(text("set session characteristics as transaction read only"))
    with pytest.raises(Unavailable):
        async with db.writing() as session:
            await session.execute(text("delete from tags"))
    await db.close()


async def test_a_write_replaces_connections_that_died_in_the_pool(postgres_url: str) -> None:
    """Without an error, even if the event loop has not noticed yet: nothing was done on them."""
    db = Database(postgres_url, pool_size=3)
    async with db.writing(), db.writing(), db.writing():
        assert db.connections_in_use == 3
    cutting = threading.Thread(target=asyncio.run, args=(cut(make_url(postgres_url)),))
    cutting.start()
    cutting.join()  # the event loop is blocked and notices nothing
    async with db.writing() as session:
        session.add(Tag(name="Written", slug="written"))
    async with db.reading() as session:
        assert await session.scalar(select(Tag.name)) == "Written"
    assert db.connections_in_use == 0
    assert (await connections(make_url(postgres_url)))[""] == 1
    await db.close()


async def test_the_first_write_after_all_connections_were_cut_succeeds(unused_database) -> None:
    """In both protocols."""
    url = make_url(await unused_database("postgres"))
    async with open_server(url.render_as_string(hide_password=False)) as server:
        author = await server.account()
        for by in [GraphQL(server.anonymous), Rest(server.anonymous)] * 3:
            post = {"title": "A post", "content": CONTENT}
            await asyncio.gather(*(by.create(author, **post) for _ in range(5)))
            await cut(url)
            assert (await by.create(author, **post))["title"] == "A post"


async def test_a_changed_column_type_fails_one_transaction_at_most(unused_database) -> None:
    """Prepared statements are stale after a migration: one transaction fails with 503, and none after it."""
    url = await unused_database("postgres")
    db, changing = Database(url, pool_size=3), Database(url)

    async def names() -> list[str]:
        async with db.writing() as session:
            return list(await session.scalars(select(Tag.name).with_for_update()))

    async with db.writing() as one, db.writing() as two, db.writing() as three:
        for session in (one, two, three):
            await session.execute(select(Tag.name).with_for_update())
    async with changing.writing() as session:
        await session.execute(text("alter table tags alter column name type text"))
    with pytest.raises(Unavailable):
        await names()
    async with db.writing(), db.writing():
        assert await names() == []
    async with db.writing():  # the first of the idle is another now
        assert await names() == []
    assert await names() == []
    await db.close()
    await changing.close()


async def cut(url: URL) -> None:
    """Terminate all other connections to a database, and wait until they have ended."""
    others = "datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'"
    async with open_maintenance_connection(url) as connection:
        cut = set(await connection.fetchval(f"select array_agg(pid) from pg_stat_activity where {others}"))
        await connection.execute(f"select pg_terminate_backend(pid) from pg_stat_activity where {others}")
        while cut & set(await connection.fetchval("select array_agg(pid) from pg_stat_activity")):  # noqa: ASYNC110 - no event for it
            await asyncio.sleep(0.01)


async def test_requests_to_a_hanging_database_fail_in_time(postgres_url: str) -> None:
    """503 in both protocols while packets are lost; afterwards requests succeed again."""
    async with (
        open_postgres_proxy(postgres_url) as (proxy, through),
        open_server(through, database_timeout="0.3s") as server,
    ):
        author = await server.account()
        post = {"title": "A post", "content": CONTENT}

        async def answers() -> list[int]:
            http, tags = server.anonymous, {"query": "{ tags { id } }"}
            reads = [http.get("/api/posts"), http.post("/graphql", json=tags)]
            result = await asyncio.gather(*reads, http.post("/api/posts", json=post, headers=author.headers))
            return [response.status_code for response in result]

        assert await answers() == [200, 200, 201]
        proxy.flowing.clear()
        started = time.monotonic()
        result = await answers()
        assert time.monotonic() - started < BOUND
        proxy.flowing.set()
        assert set(result) <= {200, 503}
        assert result[2] == 503
        async with asyncio.timeout(BOUND):
            while await answers() != [200, 200, 201]:  # noqa: ASYNC110 - no event for it
                await asyncio.sleep(0.1)


async def test_a_process_opens_no_more_connections_than_configured(unused_database) -> None:
    """Under many concurrent requests, all of which succeed. One more is for wake-ups, and one for the event log."""
    url = make_url(await unused_database("postgres"))
    most = {"database_pool_size": 2, "database_read_pool_size": 1}
    async with open_server(url.render_as_string(hide_password=False), **most, response_cache=False) as server:
        joined = await server.anonymous.post("/api/auth/register", json=ROBIN)
        headers = {"Authorization": f"Bearer {joined.json()['data']['accessToken']}"}

        async def ask(number: int) -> list[int]:
            post = {"title": f"Post {number}", "content": CONTENT}
            wrote = await server.anonymous.post("/api/posts", json=post, headers=headers)
            read = await server.anonymous.get(f"/api/posts?q={number}")
            return [wrote.status_code, read.status_code]

        assert await asyncio.gather(*map(ask, range(30))) == [[201, 200]] * 30
        assert await connections(url) == {"": 3, "dovetail reads": 1, "dovetail wake-ups": 1}


async def test_waiting_for_a_row_lock_does_not_block_other_transactions(postgres_url: str) -> None:
    """Even if more operations wait than there are connections. Health checks and the event log work, too."""
    async with open_server(postgres_url, database_pool_size=2) as server, open_server(postgres_url) as other:
        author = await server.account()
        here, there = GraphQL(server.anonymous), GraphQL(other.anonymous)
        held, free = [await there.create(author, title="A post", content=CONTENT, status="PUBLISHED") for _ in "ab"]
        log = server.app.state.gateway.log
        async with open_maintenance_connection(make_url(postgres_url)) as connection, connection.transaction():
            await connection.execute("select * from posts where id = $1 for update", UUID(held["id"]))
            waiting = [asyncio.ensure_future(here.like(await server.account(), held["id"])) for _ in range(4)]
            await wait_until(lambda: server.app.state.gateway.db.connections_in_use == 2)
            assert (await server.anonymous.get("/api/health/ready")).status_code == 200
            await there.like(author, free["id"])
            await wait_until(lambda: any(entry.type == "post.liked" for entry in log.entries))
            assert not any(task.done() for task in waiting)
        await asyncio.gather(*waiting)


async def test_a_database_that_rejects_connections_is_unavailable(unused_database) -> None:
    """503 for reads and writes, for whatever reason the server gives."""
    url = make_url(await unused_database("postgres"))
    async with (
        open_server(url.render_as_string(hide_password=False)) as server,
        open_maintenance_connection(url.set(database="postgres")) as own,
    ):
        author = await server.account()
        await own.execute(f'alter database "{url.database}" allow_connections false')
        try:
            await own.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", str(url.database)
            )
            http, post = server.anonymous, {"title": "A post", "content": CONTENT}
            tags = await http.post("/graphql", json={"query": "{ tags { id } }"})
            assert tags.json()["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
            assert (await http.get("/api/posts")).status_code == 503
            assert (await http.post("/api/posts", json=post, headers=author.headers)).status_code == 503
        finally:
            await own.execute(f'alter database "{url.database}" allow_connections true')
        async with asyncio.timeout(BOUND):
            while (await http.get("/api/posts")).status_code != 200:  # noqa: ASYNC110 - no event for it
                await asyncio.sleep(0.1)


async def connections(url: URL) -> dict[str, int]:
    """Count the other connections to a database by application name."""
    others = "datname = current_database() and pid <> pg_backend_pid()"
    counted = f"select application_name, count(*) from pg_stat_activity where {others} group by 1"
    async with open_maintenance_connection(url) as connection:
        return dict(await connection.fetch(counted))
