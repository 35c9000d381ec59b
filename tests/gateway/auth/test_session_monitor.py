"""Rights are live: what ends a session ends its streams, and what changes a role changes what they say."""

from datetime import timedelta

import pytest

from models import Role
from resolvers import accounts
from resolvers.tokens import Tokens
from tests.support.accounts import Account
from tests.support.callers import Rest
from tests.support.live_server import LiveServer
from tests.support.servers import SECRET
from tests.support.waiting import wait_until, within
from tests.support.writing import CONTENT

pytestmark = pytest.mark.anyio

POST = {"title": "A post", "content": CONTENT}
END = {"type": "error", "code": "UNAUTHORIZED"}
SOON = 5.0
"""Seconds that a change of rights may take to be heeded."""


async def test_logging_out_ends_the_session_s_streams(live: LiveServer) -> None:
    """All of them, within five seconds; other sessions' go on."""
    leaving, staying = await live.account(), await live.account()
    async with live.feed(leaving) as one, live.feed(leaving) as two, live.feed(staying) as other, live.feed() as nobody:
        await Rest(live.http).logout(leaving.refresh_token)
        async with within(SOON):
            for feed in (one, two):
                assert (await feed.frame()).data == END
                assert await feed.frame() is None
        assert live.gateway.streams.count == 2
        post = await live.graphql.create(staying, status="PUBLISHED", **POST)
        await live.graphql.like(staying, post["id"])
        assert await other.types(3) == await nobody.types(3) == ["post.created", "post.published", "post.liked"]


async def test_a_token_that_expires_ends_its_stream(live: LiveServer) -> None:
    """Though its session lives: with a new token one connects again, and resumes."""
    author = await live.account()
    viewer = Tokens(SECRET).verify(author.access_token)
    short = Tokens(SECRET, access_lifetime=timedelta(seconds=1)).create_access_token(viewer.viewer, viewer.session_id)
    async with live.feed(Account(author.id, author.name, author.email, short, "")) as feed:
        async with within(SOON):
            assert (await feed.frame()).data == END
        assert await feed.frame() is None
    async with live.feed(author, since=feed.connected.id) as again:
        await live.graphql.create(author, **POST)
        assert await again.type() == "post.created"


@pytest.mark.parametrize("role", [Role.ADMIN, Role.USER])
async def test_a_changed_role_changes_the_events_of_open_streams(live: LiveServer, role: Role) -> None:
    """A new admin hears of others' drafts; one who no longer is hears of them no more."""
    author = await live.account()
    other = await live.account(role=Role.USER if role is Role.ADMIN else Role.ADMIN)
    async with live.feed(other) as feed:
        await accounts.promote(live.db, other.email, role)
        (guarded,) = next(iter(live.gateway.session_monitor.sessions.values()))
        async with within(SOON):
            await wait_until(lambda: guarded.viewer.role is role)
        draft = await live.graphql.create(author, **POST)
        await live.graphql.publish(author, draft["id"])
        received = ["post.created", "post.published"] if role is Role.ADMIN else ["post.published"]
        assert await feed.types(len(received)) == received


async def test_a_bad_token_opens_nothing(live: LiveServer) -> None:
    """Even where a viewer is optional."""
    response = await live.http.get("/api/events", headers={"Authorization": "Bearer nonsense"})
    assert (response.status_code, response.json()["code"]) == (401, "UNAUTHORIZED")


async def test_streams_are_capped_for_each_viewer(database_url: str, make_live_server) -> None:
    """The next is refused, with how long to wait; others are not concerned, and one that closes makes room."""
    live = await make_live_server(database_url, max_streams_per_viewer=2)
    viewer, other = await live.account(), await live.account()
    async with live.feed(viewer), live.feed(other), live.feed():
        async with live.feed(viewer):
            rejected = await live.http.get("/api/events", headers=viewer.headers)
            assert (rejected.status_code, rejected.json()["code"]) == (429, "RATE_LIMITED")
            assert rejected.json()["details"]["retryAfter"] == int(rejected.headers["retry-after"])
        await wait_until(lambda: live.gateway.streams.count <= 3)
        async with live.feed(viewer):
            assert live.gateway.streams.count == 4
