"""Whoever leaves in the middle of a request, at whatever moment: nothing of it is half done, and nothing is held."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import pytest
from sqlalchemy import func, select

from models import Event, Post
from resolvers.events import Fact
from tests.support.accounts import Account
from tests.support.patience import PATIENCE, until
from tests.support.servers import Server
from tests.support.writing import CONTENT

pytestmark = pytest.mark.anyio

POST = {"title": "A post", "content": CONTENT}
TAGGED = 'mutation { createPost(input: {title: "A post", content: "Long enough to be one.", tags: ["a", "b"]}) { id } }'
TIMES = 40
LATEST = 60
"""Turns of the event loop until one leaves; most requests have ended by then."""

Ask = Callable[[Random], Awaitable[Any]]


def requests(server: Server, author: Account) -> list[Ask]:
    http, headers = server.anonymous, author.headers
    return [
        lambda chance: http.get(f"/api/posts?q={chance.random()}", headers=headers),
        lambda chance: http.post("/api/posts", json=POST, headers=headers),
        lambda chance: http.post("/api/posts", json=POST, headers={**headers, "Idempotency-Key": f"{chance.random()}"}),
        lambda chance: http.post("/graphql", json={"query": TAGGED}, headers=headers),
    ]


async def test_whoever_leaves_at_any_moment_holds_nothing_and_leaves_nothing_half_done(
    server: Server, author: Account
) -> None:
    """Others ask at the same time; a post is there with its event, or neither is."""
    chance, gateway = Random(1), server.app.state.gateway
    for ask in requests(server, author) * TIMES:
        leaving, staying = asyncio.ensure_future(ask(chance)), asyncio.ensure_future(ask(chance))
        for _ in range(chance.randrange(LATEST)):
            await asyncio.sleep(0)
        leaving.cancel()
        async with asyncio.timeout(PATIENCE):
            await asyncio.wait([leaving])
            assert (await staying).status_code in (200, 201)
    await until(lambda: not gateway.db.pool.busy and not gateway.work.now)
    async with server.db.reading() as session:
        posts = await session.scalar(select(func.count()).select_from(Post))
        facts = await session.scalar(select(func.count()).where(Event.type == Fact.POST_CREATED))
    assert TIMES * 3 <= posts == facts
