"""`GET /api/events`: what it says first, what it says then, and to whom."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from models import Role
from resolvers.cleanup import prune_events
from tests.support.live_server import LiveServer
from tests.support.subscribers import EVENTS, open_sse_stream
from tests.support.writing import CONTENT

pytestmark = pytest.mark.anyio

POST = {"title": "A post", "content": CONTENT}


async def test_a_stream_begins_with_where_it_starts(live: LiveServer) -> None:
    """The cursor of this moment, and nothing of what was before."""
    author = await live.account()
    await live.graphql.create(author, status="PUBLISHED", **POST)
    async with live.feed() as feed:
        headers = feed.response.headers
        assert headers["content-type"].startswith("text/event-stream")
        assert (headers["cache-control"], headers["x-accel-buffering"]) == ("no-store", "no")
        assert headers["x-request-id"]
        assert feed.connected.id == live.gateway.log.position
        assert set(feed.connected.data) == {"type", "timestamp"}
        await feed.silence()


async def test_each_fact_is_one_event(live: LiveServer) -> None:
    """In the order in which they became true, each with its id, its post and who did it."""
    author, reader = await live.account(), await live.account()
    async with live.feed() as feed:
        post = await live.graphql.create(author, status="PUBLISHED", **POST)
        comment = await live.graphql.comment(reader, post["id"], "Well said")
        await live.graphql.like(reader, post["id"])
        await live.graphql.like(reader, post["id"])
        await live.graphql.unlike(reader, post["id"])
        await live.graphql.update(author, post["id"], title="Another title")
        await live.graphql.uncomment(reader, comment["id"])
        received = [await feed.event() for _ in range(7)]
        await feed.silence()
    assert [(event["type"], event["actorId"]) for event in received] == [
        ("post.created", author.id),
        ("post.published", author.id),
        ("comment.added", reader.id),
        ("post.liked", reader.id),
        ("post.unliked", reader.id),
        ("post.updated", author.id),
        ("comment.deleted", reader.id),
    ]
    assert {event["postId"] for event in received} == {post["id"]}
    assert [event["id"] for event in received] == sorted({event["id"] for event in received})
    assert received[2]["commentId"] == comment["id"]
    assert received[0]["at"].endswith("Z")


@pytest.mark.parametrize("how", ["header", "since", "both"])
async def test_a_stream_resumes_after_an_event(live: LiveServer, how: str) -> None:
    """The header, which a browser sends when it comes back, is newer than the address that it began with."""
    author = await live.account()
    async with live.feed() as feed:
        post = await live.graphql.create(author, status="PUBLISHED", **POST)
        first, second = await feed.ids(2)
    await live.graphql.like(author, post["id"])
    since = {"since": {"since": second}, "both": {"since": first}, "header": {}}[how]
    headers = {} if how == "since" else {"Last-Event-ID": str(second)}
    async with live.feed(headers=headers, **since) as feed:
        assert feed.connected.id == second
        assert await feed.type() == "post.liked"
        await live.graphql.unlike(author, post["id"])
        assert await feed.type() == "post.unliked"
        await feed.silence()


async def test_a_long_way_back_comes_from_the_table(live: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page at a time, then what is in memory, then what is new: each event once, in order."""
    monkeypatch.setattr("gateway.events.log.PAGE_SIZE", 7)
    author = await live.account()
    post = await live.graphql.create(author, status="PUBLISHED", **POST)
    for _ in range(10):
        await live.graphql.like(author, post["id"])
        await live.graphql.unlike(author, post["id"])
    log = live.gateway.log
    await log.refresh_position()
    log.oldest_cached_id = log.entries[-5].id
    del log.entries[:-4]
    everything = live.feed(since=log.position - 22) if log.position > 22 else live.feed(since=0)
    async with everything as feed:
        received = await feed.types(22)
        await live.graphql.like(author, post["id"])
        assert received == ["post.created", "post.published", *["post.liked", "post.unliked"] * 10]
        assert await feed.type() == "post.liked"


async def test_a_pruned_cursor_resets_the_client(live: LiveServer) -> None:
    """`reset`, then what is new; a cursor that is still kept goes on as ever."""
    author = await live.account()
    async with live.feed() as feed:
        start = feed.connected.id
        post = await live.graphql.create(author, status="PUBLISHED", **POST)
        _, second = await feed.ids(2)
    assert await prune_events(live.db, timedelta(seconds=-1)) == 1
    live.gateway.log.oldest_cached_id = second
    live.gateway.log.entries.clear()
    async with live.feed(since=start) as feed:
        assert feed.connected.id == second
        assert (await feed.frame()).data == {"type": "reset"}
        await live.graphql.like(author, post["id"])
        assert await feed.type() == "post.liked"
    async with live.feed(since=second) as feed:
        assert await feed.type() == "post.liked"


async def test_a_backup_that_is_restored_is_served_at_once(live: LiveServer) -> None:
    """Followers are to fetch anew, subscribers too, and nothing from before is in any cache."""
    author = await live.account()
    post = await live.graphql.create(author, status="PUBLISHED", **POST)
    path = f"/api/posts/{post['id']}"
    async with live.feed() as feed, open_sse_stream(live.http, EVENTS) as stream:
        await live.graphql.update(author, post["id"], title="Lost")
        assert (await feed.type(), (await stream.next_value())["type"]) == ("post.updated", "UPDATED")
        assert (await live.http.get(path)).json()["data"]["title"] == "Lost"
        async with live.db.engine.begin() as restoring:
            await restoring.execute(text("update posts set title = 'Kept'"))
            await restoring.execute(text("delete from events where type = 'post.updated'"))
        assert (await feed.frame()).data == {"type": "reset"}
        assert (await live.http.get(path)).json()["data"]["title"] == "Kept"
        rejected = await stream.event()
        assert rejected.data["errors"][0]["extensions"]["code"] == "CURSOR_EXPIRED"
        await live.graphql.like(author, post["id"])
        assert await feed.type() == "post.liked"


async def test_a_cursor_beyond_the_log_is_reset_too(live: LiveServer) -> None:
    """One from another database, or from before a restore; and one that no number of ids reaches."""
    for cursor in (live.gateway.log.position + 1000, 10**40):
        async with live.feed(since=cursor) as feed:
            assert feed.connected.id == live.gateway.log.position
            assert (await feed.frame()).data == {"type": "reset"}


@pytest.mark.parametrize(
    ("types", "received"),
    [
        ("comment.added", ["comment.added"]),
        ("comment", ["comment.added", "comment.deleted"]),
        ("post.created, comment.deleted", ["post.created", "comment.deleted"]),
        ("", ["post.created", "post.published", "comment.added", "comment.deleted"]),
    ],
)
async def test_types_are_asked_for_by_name_or_prefix(live: LiveServer, types: str, received: list[str]) -> None:
    """Live, and when resuming."""
    author = await live.account()
    async with live.feed(types=types) as feed:
        start = feed.connected.id
        post = await live.graphql.create(author, status="PUBLISHED", **POST)
        comment = await live.graphql.comment(author, post["id"], "Well said")
        await live.graphql.uncomment(author, comment["id"])
        assert await feed.types(len(received)) == received
        await feed.silence(0.1)
    async with live.feed(types=types, since=start) as feed:
        assert await feed.types(len(received)) == received
        await feed.silence(0.1)


@pytest.mark.parametrize(
    ("query", "headers", "field"),
    [
        ({"types": "post,nonsense"}, {}, "types"),
        ({"types": "pos"}, {}, "types"),
        ({"since": "yesterday"}, {}, "since"),
        ({"since": "-1"}, {}, "since"),
        ({"since": "1.5"}, {}, "since"),
        ({}, {"Last-Event-ID": "abc"}, "Last-Event-ID"),
    ],
)
async def test_what_makes_no_sense_is_refused(live: LiveServer, query: dict, headers: dict, field: str) -> None:
    """Before anything is streamed, in the words of every refusal."""
    reply = await live.http.get("/api/events", params=query, headers=headers)
    assert (reply.status_code, reply.json()["code"]) == (400, "VALIDATION_ERROR")
    assert list(reply.json()["details"]) == [field]
    assert live.gateway.streams.count == 0


async def test_head_says_what_get_would_and_opens_nothing(live: LiveServer) -> None:
    """Monitors and proxies ask that."""
    reply = await live.http.head("/api/events")
    assert (reply.status_code, reply.content) == (200, b"")
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert live.gateway.streams.count == 0


async def test_a_comment_breaks_each_silence(live: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxies close what says nothing; a client that hears events needs none."""
    monkeypatch.setattr("gateway.events.broadcaster.HEARTBEAT_INTERVAL_SECONDS", 0.0)
    async with live.feed() as feed:
        assert (await feed.frame()).comment == "ping"


async def test_drafts_are_their_author_s_and_the_admins(live: LiveServer) -> None:
    """Strangers hear of a post when it is published, and not of what was before."""
    author, stranger = await live.account(), await live.account()
    admin = await live.account(role=Role.ADMIN)
    async with live.feed(author) as own, live.feed(stranger) as other, live.feed() as nobody, live.feed(admin) as all_:
        post = await live.graphql.create(author, **POST)
        await live.graphql.update(author, post["id"], title="Better")
        await live.graphql.publish(author, post["id"])
        everything = ["post.created", "post.updated", "post.published"]
        assert await own.types(3) == await all_.types(3) == everything
        assert await other.type() == await nobody.type() == "post.published"


async def test_a_hidden_post_is_announced_to_viewers_who_could_see_it(live: LiveServer) -> None:
    """A public post's archiving and deletion to everyone; a draft's deletion to its author and admins alone."""
    author = await live.account()
    admin = await live.account(role=Role.ADMIN)
    async with live.feed(author) as own, live.feed() as nobody, live.feed(admin) as all_:
        public = await live.graphql.create(author, status="PUBLISHED", **POST)
        draft = await live.graphql.create(author, **POST)
        assert (await nobody.types(2), await own.types(3), await all_.types(3)) == (
            ["post.created", "post.published"],
            *[["post.created", "post.published", "post.created"]] * 2,
        )
        await live.graphql.archive(author, public["id"])
        await live.graphql.update(author, public["id"], title="Hidden now")
        await live.graphql.delete(author, draft["id"])
        await live.graphql.delete(author, public["id"])
        await live.graphql.restore(admin, public["id"])
        await live.graphql.publish(author, public["id"])
        archived = await nobody.event()
        assert (archived["type"], archived["postId"]) == ("post.archived", public["id"])
        assert await nobody.type() == "post.published"
        hidden = ["post.archived", "post.updated", "post.deleted", "post.deleted"]
        assert await own.types(6) == await all_.types(6) == [*hidden, "post.restored", "post.published"]


async def test_a_resumed_stream_omits_posts_that_were_hidden_meanwhile(live: LiveServer) -> None:
    """An event is told by the rights of the moment that it is sent at, whatever they were when it happened."""
    author = await live.account()
    async with live.feed() as feed:
        start = feed.connected.id
        post = await live.graphql.create(author, status="PUBLISHED", **POST)
        assert await feed.types(2) == ["post.created", "post.published"]
        await live.graphql.archive(author, post["id"])
        assert await feed.type() == "post.archived"
    for in_memory in (True, False):
        if not in_memory:
            live.gateway.log.oldest_cached_id = live.gateway.log.position
            live.gateway.log.entries.clear()
        async with live.feed(since=start) as feed:
            assert await feed.type() == "post.archived"
            await feed.silence(0.1)


async def test_what_was_written_before_is_not_new(live: LiveServer) -> None:
    """However soon after a write one connects."""
    author = await live.account()
    for n in range(10):
        post = await live.graphql.create(author, status="PUBLISHED", **POST)
        async with live.feed() as feed:
            await live.graphql.like(author, post["id"])
            assert await feed.type() == "post.liked", n


async def test_pages_of_other_origins_may_follow_with_cookies(database_url: str, make_live_server) -> None:
    """A GET changes nothing, so the cookie counts; who may read the answer is for CORS to say."""
    live = await make_live_server(database_url, cors_origins="https://front.example.com")
    author = await live.account()
    headers = {"Cookie": f"dovetail_session={author.access_token}", "Origin": "https://front.example.com"}
    async with live.feed(headers=headers) as feed:
        assert feed.response.headers["access-control-allow-origin"] == "https://front.example.com"
        assert feed.response.headers["access-control-allow-credentials"] == "true"
        await live.graphql.create(author, **POST)
        assert await feed.type() == "post.created"


async def test_opening_a_stream_counts_as_a_request(database_url: str, make_live_server) -> None:
    """In the limit `api`."""
    live = await make_live_server(database_url, rate_limit_api="1/minute")
    async with live.feed() as feed:
        assert feed.response.headers["x-ratelimit-remaining"] == "0"
        rejected = await live.http.get("/api/events")
        assert (rejected.status_code, rejected.json()["code"]) == (429, "RATE_LIMITED")
