"""A database that hangs, that is too slow, or that may only be read by now: said soon, and in one way."""

import asyncio
import time

import pytest
from sqlalchemy import make_url, text

from models import Database
from models.errors import Unavailable
from tests.support.servers import serving
from tests.support.wires import wired
from tests.support.writing import CONTENT

pytestmark = pytest.mark.anyio

BOUND = 25.0
"""Seconds: what one waits for a statement, for a connection, and for the end of one that does not answer."""


async def test_a_statement_has_so_long_and_the_connection_is_of_use_again(postgres_url: str) -> None:
    """Reading and writing."""
    db = Database(postgres_url, pool_size=1, longest=0.2)
    for scope in (db.reading, db.writing):
        with pytest.raises(Unavailable):
            async with scope() as session:
                await session.execute(text("select pg_sleep(20)"))
        async with scope() as session:
            assert await session.scalar(text("select 1")) == 1
    await db.close()


async def test_a_server_that_became_read_only_is_away(postgres_url: str) -> None:
    """As one is that another has taken over from."""
    db = Database(postgres_url, pool_size=1)
    async with db.engine.begin() as connection:
        await connection.execute(text("set session characteristics as transaction read only"))
    with pytest.raises(Unavailable):
        async with db.writing() as session:
            await session.execute(text("delete from tags"))
    await db.close()


async def test_a_database_that_hangs_keeps_nobody_waiting(postgres_url: str) -> None:
    """Nothing comes through, and nobody says so: 503 in both protocols, in time; then all is well."""
    url = make_url(postgres_url)
    async with wired(f"tcp://{url.host}:{url.port or 5432}") as wire:
        through = url.set(host="127.0.0.1", port=wire.port).render_as_string(hide_password=False)
        async with serving(through, database_timeout="0.3s") as server:
            author = await server.account()
            post = {"title": "A post", "content": CONTENT}

            async def answers() -> list[int]:
                http, tags = server.anonymous, {"query": "{ tags { id } }"}
                reads = [http.get("/api/posts"), http.post("/graphql", json=tags)]
                told = await asyncio.gather(*reads, http.post("/api/posts", json=post, headers=author.headers))
                return [answer.status_code for answer in told]

            assert await answers() == [200, 200, 201]
            wire.flowing.clear()
            started = time.monotonic()
            told = await answers()
            assert time.monotonic() - started < BOUND
            wire.flowing.set()
            assert set(told) <= {200, 503}
            assert told[2] == 503
            async with asyncio.timeout(BOUND):
                while await answers() != [200, 200, 201]:  # noqa: ASYNC110 - nothing tells of it
                    await asyncio.sleep(0.1)
