"""Clients that disconnect at any point of a request: nothing is done by halves, and nothing stays allocated."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import pytest
from sqlalchemy import func, select

from models import Event, Post
from resolvers.events import EventType
from tests.support.accounts import Account
from tests.support.servers import Server
from tests.support.waiting import TEST_TIMEOUT_SECONDS, wait_until
from tests.support.writing import CONTENT

pytestmark = pytest.mark.anyio

POST = {"title": "A post", "content": CONTENT}
CREATE_POST = (
    'mutation { createPost(input: {title: "A post", content: "Long enough for it.", tags: ["a", "b"]}) { id } }'
)
ROUNDS = 40
MAX_TURNS = 60
"""Turns of the event loop until a client disconnects. Most requests are complete by then."""

Send = Callable[[Random], Awaitable[Any]]


def build_requests(server: Server, author: Account) -> list[Send]:
    """Return functions that each send a request, with random parts where equal ones would share a response."""
    http, headers = server.anonymous, author.headers
    return [
        lambda random: http.get(f"/api/posts?q={random.random()}", headers=headers),
        lambda random: http.post("/api/posts", json=POST, headers=headers),
        lambda random: http.post("/api/posts", json=POST, headers={**headers, "Idempotency-Key": f"{random.random()}"}),
        lambda random: http.post("/graphql", json={"query": CREATE_POST}, headers=headers),
    ]


async def test_a_client_may_disconnect_at_any_point(server: Server, author: Account) -> None:
    """Another client's equal request succeeds. Each post has its event, and no connection or slot stays in use."""
    random, gateway = Random(1), server.app.state.gateway
    for send in build_requests(server, author) * ROUNDS:
        leaving, staying = asyncio.ensure_future(send(random)), asyncio.ensure_future(send(random))
        for _ in range(random.randrange(MAX_TURNS)):
            await asyncio.sleep(0)
        leaving.cancel()
        async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
            await asyncio.wait([leaving])
            assert (await staying).status_code in (200, 201)
    await wait_until(lambda: not gateway.db.connections_in_use and not gateway.in_flight.count)
    async with server.db.reading() as session:
        posts = await session.scalar(select(func.count()).select_from(Post))
        facts = await session.scalar(select(func.count()).where(Event.type == EventType.POST_CREATED))
    assert ROUNDS * 3 <= posts == facts
