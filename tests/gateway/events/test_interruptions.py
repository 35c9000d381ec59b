"""Connections break, a server is killed, Redis goes and comes back; and nobody misses an event, or hears one twice.

Two servers on one Postgres, who wake each other through a Redis of this test's own. Every chance is drawn from `SEED`.
"""

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import httpx
import pytest
from sqlalchemy import select

from models import Database, Event
from resolvers.tokens import Tokens
from tests.support.accounts import Account, sign_up
from tests.support.processes import ServerProcess
from tests.support.proxy import open_proxy
from tests.support.reconnecting import FeedSubscriber, ReconnectingSubscriber, WebSocketSubscriber
from tests.support.servers import SECRET
from tests.support.stores import free_port, start_redis
from tests.support.writing import CONTENT

SEED = 20261122
WRITES = 200
DROPS = 10
"""Of each follower."""
AT_ONCE = 4
PAUSE = 0.1
"""Seconds that a writer rests after each write, at most."""
PATIENCE = 60.0
"""Seconds for followers to hear the last of it."""

CREATE = "mutation($input: CreatePostInput!) { createPost(input: $input) { id } }"


@dataclass
class Writers:
    """They write to the servers in turn, and try the next when one does not answer."""

    servers: list[ServerProcess]
    author: Account
    chance: random.Random
    acknowledged: list[str] = field(default_factory=list)
    """The ids of posts of which a server said that they are written."""
    refused: int = 0

    async def write(self, http: httpx.AsyncClient, numbers: Iterator[int]) -> None:
        for number in numbers:
            while not (id := await self.create(http, self.servers[number % 2].address, number)):
                number += 1
            self.acknowledged.append(id)
            await asyncio.sleep(self.chance.uniform(0, PAUSE))

    async def create(self, http: httpx.AsyncClient, address: str, number: int) -> str | None:
        body = {"query": CREATE, "variables": {"input": {"title": f"Post {number}", "content": CONTENT}}}
        try:
            response = await http.post(f"{address}/graphql", json=body, headers=self.author.headers)
        except httpx.TransportError:
            self.refused += 1
            return None
        return response.json()["data"]["createPost"]["id"]

    async def reached(self, count: int) -> None:
        while len(self.acknowledged) < count:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.005)


@pytest.fixture
async def postgres(unused_database: Callable) -> str:
    return await unused_database("postgres")


async def test_every_event_is_heard_exactly_once_and_in_order_whatever_breaks(postgres, tmp_path):
    """200 writes, two followers dropped ten times each, one server killed and one Redis restarted on the way."""
    chance, db = random.Random(SEED), Database(postgres, pool_size=1)
    author = await sign_up(db, Tokens(SECRET), name="Ann Author")
    with ExitStack() as redis:
        address = redis.enter_context(start_redis(tmp_path, port := free_port()))
        one, two = (ServerProcess(tmp_path, postgres, REDIS_URL=address) for _ in range(2))
        async with one, two, open_proxy(one.address) as first, open_proxy(two.address) as second:
            writers = Writers([one, two], author, chance)
            feed, subscriber = FeedSubscriber(first, author), WebSocketSubscriber(second, author)
            async with feed.running(), subscriber.running(), asyncio.TaskGroup() as work:
                work.create_task(written(writers))
                for follower in (feed, subscriber):
                    work.create_task(drop_count(follower, writers, chance))
                work.create_task(killed(one, writers))
                work.create_task(restarted(redis, tmp_path, port, writers))
                work.create_task(wait_for(db, writers, feed, subscriber))
        logs = one.log.read_text() + two.log.read_text()
    log = await created(db)
    await db.close()
    assert len(writers.acknowledged) == WRITES
    assert set(writers.acknowledged) <= {post for _, post in log}
    assert feed.received == log
    assert subscriber.received == log
    assert (feed.drop_count, subscriber.drop_count) == (DROPS, DROPS)
    assert writers.refused
    assert "Traceback" not in logs, logs


async def written(writers: Writers) -> None:
    numbers = iter(range(WRITES))
    async with httpx.AsyncClient(timeout=60) as http, asyncio.TaskGroup() as work:
        for _ in range(AT_ONCE):
            work.create_task(writers.write(http, numbers))


async def drop_count(follower: ReconnectingSubscriber, writers: Writers, chance: random.Random) -> None:
    """Each time it may find itself at the other server."""
    for count in sorted(chance.sample(range(5, WRITES - 5), DROPS)):
        await writers.reached(count)
        await follower.drop(chance.choice(writers.servers).address)


async def killed(server: ServerProcess, writers: Writers) -> None:
    await writers.reached(WRITES // 4)
    await server.kill()
    await server.start()


async def restarted(redis: ExitStack, folder, port: int, writers: Writers) -> None:
    """It stays away for a while, in which wake-ups are lost."""
    await writers.reached(WRITES * 3 // 5)
    await asyncio.to_thread(redis.close)
    await writers.reached(WRITES * 3 // 5 + 20)
    await asyncio.to_thread(redis.enter_context, start_redis(folder, port))


async def wait_for(db: Database, writers: Writers, *followers: ReconnectingSubscriber) -> None:
    await writers.reached(WRITES)
    newest = (await created(db))[-1][0]
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*(follower.wait_for(newest) for follower in followers))


async def created(db: Database) -> list[tuple[int, str]]:
    """What the log tells of posts that were created."""
    async with db.reading() as session:
        wanted = select(Event.id, Event.post_id).where(Event.type == "post.created").order_by(Event.id)
        return [(id, str(post)) for id, post in await session.execute(wanted)]
