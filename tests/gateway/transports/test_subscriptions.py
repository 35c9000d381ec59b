"""Subscriptions: what is told, to whom, and in which order; over SSE, on both databases."""

import asyncio
import time
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest

from models import Role
from models.errors import Unavailable
from resolvers.accounts import promote
from resolvers.cleanup import prune_events
from tests.support.accounts import Account
from tests.support.live_server import LiveServer
from tests.support.subscribers import EVENTS, Stream, open_sse_stream
from tests.support.waiting import TEST_TIMEOUT_SECONDS
from tests.support.writing import CONTENT

pytestmark = pytest.mark.anyio

TYPES = "subscription($id: ID, $types: [PostEventType!]) { postEvents(postId: $id, types: $types) { type postId } }"
COMMENTS = "subscription($id: ID!) { commentAdded(postId: $id) { content author { name } post { commentCount } } }"
CREATE = """mutation($content: String!) {
    createPost(input: {title: "A post", content: $content, status: PUBLISHED}) { __typename } }"""
LIKED = "subscription { postEvents { type post { viewerHasLiked } } }"


@pytest.fixture
async def ann(live: LiveServer) -> Account:
    return await live.account("Ann")


@pytest.fixture
async def bob(live: LiveServer) -> Account:
    return await live.account("Bob")


def following(live: LiveServer, viewer: Account | None = None, query: str = EVENTS, **given: Any) -> Any:
    return open_sse_stream(live.http, query, viewer, **given)


async def published(live: LiveServer, author: Account, title: str = "A post") -> str:
    return (await live.graphql.create(author, title=title, content=CONTENT, status="PUBLISHED"))["id"]


async def events(stream: Stream, count: int) -> list[tuple[str, Any]]:
    """The types of what comes, each with its post's title."""
    result = [await stream.next_value() for _ in range(count)]
    return [(event["type"], event["post"] and event["post"]["title"]) for event in result]


async def test_everything_that_happens_to_a_post_is_told_in_order(live: LiveServer, ann: Account, bob: Account) -> None:
    """One event for each fact, with the post as it is by then, and ids that grow."""
    admin = await live.account("Ada", Role.ADMIN)
    async with following(live, ann) as stream:
        id = (await live.graphql.create(ann, title="First", content=CONTENT))["id"]
        assert await events(stream, 1) == [("CREATED", "First")]
        await live.graphql.update(ann, id, title="Second")
        assert await events(stream, 1) == [("UPDATED", "Second")]
        await live.graphql.publish(ann, id)
        await live.graphql.like(bob, id)
        await live.graphql.unlike(bob, id)
        await live.graphql.comment(bob, id, "Well said")
        result = [await stream.next_value() for _ in range(4)]
        assert [event["type"] for event in result] == ["PUBLISHED", "LIKED", "UNLIKED", "COMMENTED"]
        assert [int(event["id"]) for event in result] == sorted({int(event["id"]) for event in result})
        await live.graphql.archive(ann, id)
        assert await events(stream, 1) == [("ARCHIVED", "Second")]
        await live.graphql.delete(ann, id)
        assert await events(stream, 1) == [("DELETED", None)]
        await live.graphql.restore(admin, id)
        assert await events(stream, 1) == [("RESTORED", "Second")]


async def test_a_subscription_resumes_after_an_event(live: LiveServer, ann: Account) -> None:
    """`since` in the document, or `Last-Event-ID`, which is the later of the two; each event once, in order."""
    async with following(live) as stream:
        for title in ("One", "Two", "Three"):
            await published(live, ann, title)
        received = [await stream.next_value() for _ in range(6)]
    first, third = received[0]["id"], received[2]["id"]
    async with following(live, since=first) as stream:
        assert [await stream.next_value() for _ in range(5)] == received[1:]
        await published(live, ann, "Four")
        assert await events(stream, 2) == [("CREATED", "Four"), ("PUBLISHED", "Four")]
    async with following(live, since=int(first), headers={"Last-Event-ID": third}) as stream:
        event = await stream.event()
        assert (event.id, event.data["data"]["postEvents"]) == (int(received[3]["id"]), received[3])


@pytest.mark.parametrize("given", [f'(since: "{10**30}")', "(since: 987654321)"])
async def test_the_log_does_not_reach_beyond_its_end(live: LiveServer, given: str) -> None:
    """A cursor from nowhere is refused, before the stream begins."""
    assert await refusal(live, f"subscription {{ postEvents{given} {{ id }} }}") == (410, "CURSOR_EXPIRED")


async def test_a_cursor_that_was_pruned_has_expired(live: LiveServer, ann: Account) -> None:
    """The client is to fetch anew, as there are events that nobody can tell it of any more."""
    async with following(live) as stream:
        await published(live, ann)
        first = (await stream.next_value())["id"]
        last = (await stream.next_value())["id"]
        await published(live, ann)
        await events(stream, 2)
    await prune_events(live.db, timedelta(0))
    live.gateway.log.oldest_cached_id = live.gateway.log.position  # as if it had left the memory of this server
    assert await refusal(live, since=first) == await refusal(live, since=last) == (410, "CURSOR_EXPIRED")
    async with following(live, since=str(live.gateway.log.position)) as stream:
        await published(live, ann, "New")
        assert await events(stream, 1) == [("CREATED", "New")]


async def refusal(live: LiveServer, query: str = EVENTS, **variables: Any) -> tuple[int, str]:
    """How a subscription is refused before it begins: plainly."""
    body, headers = {"query": query, "variables": variables}, {"Accept": "text/event-stream, application/json"}
    async with asyncio.timeout(TEST_TIMEOUT_SECONDS):  # one that is not refused goes on for ever
        response = await live.http.post("/graphql", json=body, headers=headers)
    assert (response.headers["Content-Type"], list(response.json())) == ("application/json", ["errors"])
    (code,) = {error["extensions"]["code"] for error in response.json()["errors"]}
    return response.status_code, code


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("subscription { nothing }", 400, "VALIDATION_ERROR"),
        ("subscription { __typename }", 400, "VALIDATION_ERROR"),
        ("subscription { a: postEvents { id } b: postEvents { id } }", 400, "VALIDATION_ERROR"),
        ("subscription { postEvents @skip(if: true) { id } }", 400, "VALIDATION_ERROR"),
        ('subscription { postEvents(since: "x") { id } }', 400, "VALIDATION_ERROR"),
        ('subscription($s: ID = "-1") { postEvents(since: $s) { id } }', 400, "VALIDATION_ERROR"),
        ("subscription { postEvents(types: [WRITTEN]) { id } }", 400, "VALIDATION_ERROR"),
        ("subscription { commentAdded { id } }", 400, "VALIDATION_ERROR"),
        ("subscription { postEvents { post { comments(first: 0) { totalCount } } } }", 400, "VALIDATION_ERROR"),
        ('subscription { postEvents { post { comments(after: "x") { totalCount } } } }', 400, "VALIDATION_ERROR"),
        (
            "subscription { postEvents { post { author { posts(filter: {deleted: true}) { totalCount } } } } }",
            403,
            "FORBIDDEN",
        ),
    ],
)
async def test_what_would_be_refused_later_is_refused_at_once(
    live: LiveServer, query: str, status: int, code: str
) -> None:
    """As a plain answer, before there is a stream."""
    assert await refusal(live, query) == (status, code)


async def test_events_of_drafts_reach_only_viewers_with_access(live: LiveServer, ann: Account, bob: Account) -> None:
    """Their author and admins, and nobody else until they are published."""
    admin = await live.account("Ada", Role.ADMIN)
    async with (
        following(live, ann) as author,
        following(live, bob) as stranger,
        following(live, admin) as ada,
        following(live) as anybody,
    ):
        id = (await live.graphql.create(ann, title="A draft", content=CONTENT))["id"]
        for stream in (author, ada):
            assert await events(stream, 1) == [("CREATED", "A draft")]
        await live.graphql.publish(ann, id)
        for stream in (author, stranger, ada, anybody):
            assert await events(stream, 1) == [("PUBLISHED", "A draft")]


async def test_what_goes_from_sight_is_told_without_its_content(live: LiveServer, ann: Account, bob: Account) -> None:
    """Who could see it hears that it went; its author still sees it when it is archived."""
    id = await published(live, ann)
    async with following(live, ann) as author, following(live, bob) as stranger:
        await live.graphql.archive(ann, id)
        assert await events(author, 1) == [("ARCHIVED", "A post")]
        assert await events(stranger, 1) == [("ARCHIVED", None)]
        await live.graphql.update(ann, id, title="Nobody's business")
        assert await events(author, 1) == [("UPDATED", "Nobody's business")]
        assert await stranger.is_silent()


async def test_one_post_or_some_types_can_be_followed(live: LiveServer, ann: Account) -> None:
    """Null is as good as nothing; none of the types is none of the events."""
    one, other = await published(live, ann, "One"), await published(live, ann, "Other")
    async with (
        following(live, query=TYPES, id=one, types=None) as of_one,
        following(live, query=TYPES, types=["LIKED", "UNLIKED"]) as of_types,
        following(live, query=TYPES, types=[]) as of_none,
        following(live, query=TYPES, id="no such id") as of_nothing,
    ):
        for id in (other, one):
            await live.graphql.update(ann, id, title="Changed")
            await live.graphql.like(ann, id)
        assert [await of_one.next_value() for _ in range(2)] == [
            {"type": t, "postId": one} for t in ("UPDATED", "LIKED")
        ]
        assert [await of_types.next_value() for _ in range(2)] == [
            {"type": "LIKED", "postId": id} for id in (other, one)
        ]
        assert await of_none.is_silent()
        assert await of_nothing.is_silent(0.05)


async def test_comments_are_told_as_they_are_read(live: LiveServer, ann: Account, bob: Account) -> None:
    """Those on that post alone, and to those alone who may read them."""
    one, other = await published(live, ann), await published(live, ann)
    async with following(live, query=COMMENTS, id=one) as anybody, following(live, ann, COMMENTS, id=one) as author:
        await live.graphql.comment(bob, other, "Elsewhere")
        await live.graphql.comment(bob, one, "Well said")
        result = {"content": "Well said", "author": {"name": "Bob"}, "post": {"commentCount": 1}}
        assert await anybody.next_value() == await author.next_value() == result
        await live.graphql.archive(ann, one)
        await live.graphql.comment(ann, one, "To myself")
        assert (await author.next_value())["content"] == "To myself"
        assert await anybody.is_silent()


async def test_the_event_of_a_deleted_comment_is_not_sent(live: LiveServer, ann: Account) -> None:
    """There is nothing to tell, and its type admits no null."""
    one = await published(live, ann)
    cursor = live.gateway.log.position
    gone = await live.graphql.comment(ann, one, "Taken back")
    await live.graphql.uncomment(ann, gone["id"])
    await live.graphql.comment(ann, one, "Said again")
    async with following(live, query=COMMENTS, id=one, headers={"Last-Event-ID": str(cursor)}) as stream:
        assert (await stream.next_value())["content"] == "Said again"


async def test_aliases_fragments_and_typenames_are_as_in_queries(live: LiveServer, ann: Account) -> None:
    """`@include` too, by a variable."""
    query = """subscription($post: Boolean!) { happened: postEvents(types: CREATED) { __typename ...It } }
        fragment It on PostEvent { what: type post @include(if: $post) { __typename title } }"""
    async with following(live, query=query, post=True) as whole, following(live, query=query, post=False) as part:
        await live.graphql.create(ann, title="A post", content=CONTENT, status="PUBLISHED")
        result = {"__typename": "PostEvent", "what": "CREATED"}
        assert await part.next() == {"data": {"happened": result}}
        assert await whole.next() == {
            "data": {"happened": result | {"post": {"__typename": "Post", "title": "A post"}}}
        }


async def test_subscribers_with_the_same_rights_share_one_reading(live: LiveServer, ann: Account) -> None:
    """However many they are, an event costs one statement; who asks about themselves is answered by themselves."""
    reads = live.gateway.engine.reads
    counter = getattr(reads, "batcher", reads)
    id = await published(live, ann)
    async with AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(following(live)) for _ in range(20)]
        before = counter.statements
        await live.graphql.like(ann, id)
        result = [await stream.next_value() for stream in streams]
        assert result == [result[0]] * 20
        assert counter.statements - before == 3  # the others asked for the author's session, and answered the mutation


async def test_a_viewer_field_in_a_subscription_is_the_subscriber(live: LiveServer, ann: Account, bob: Account) -> None:
    """An answer that depends on who asks is nobody else's."""
    id = await published(live, ann)
    async with following(live, ann, LIKED) as author, following(live, bob, LIKED) as fan, following(live) as anybody:
        await live.graphql.like(bob, id)
        assert await author.next_value() == {"type": "LIKED", "post": {"viewerHasLiked": False}}
        assert await fan.next_value() == {"type": "LIKED", "post": {"viewerHasLiked": True}}
        assert await anybody.types(1) == ["LIKED"]


async def test_a_lost_role_takes_effect_on_open_subscriptions(live: LiveServer, ann: Account) -> None:
    """The stream goes on, with the rights that are left."""
    admin = await live.account("Ada", Role.ADMIN)
    async with following(live, admin) as stream:
        await live.graphql.create(ann, title="A draft", content=CONTENT)
        assert await events(stream, 1) == [("CREATED", "A draft")]
        await promote(live.db, admin.email, Role.USER)
        await live.gateway.session_monitor.refresh()
        await live.graphql.create(ann, title="Another draft", content=CONTENT)
        await published(live, ann, "For all")
        assert await events(stream, 1) == [("CREATED", "For all")]


@pytest.mark.parametrize("how", ["expiry", "logout"])
async def test_rights_that_end_end_the_stream(live: LiveServer, ann: Account, how: str) -> None:
    """With an error that says so, and a completion."""
    async with following(live, ann) as stream:
        if how == "expiry":
            live.gateway.session_monitor.expire(time.time() + 3600)
        else:
            await live.http.post("/api/auth/logout", json={"refreshToken": ann.refresh_token})
            await live.gateway.session_monitor.refresh()
        response = await stream.next()
        assert (list(response), response["errors"][0]["extensions"]["code"]) == (["errors"], "UNAUTHORIZED")
        assert (await stream.event()).name == "complete"
        assert await stream.event() is None
    assert live.gateway.session_monitor.sessions == {}


async def test_streams_hold_no_connection_to_the_database(live: LiveServer, ann: Account) -> None:
    """A hundred that wait use as many as none do."""
    async with AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(following(live)) for _ in range(100)]
        await hear_all(live, ann, streams)


async def hear_all(live: LiveServer, ann: Account, streams: list[Stream]) -> None:
    assert live.gateway.streams.count == 100
    if not live.gateway.db.is_sqlite:
        assert live.gateway.db.connections_in_use == 0
        assert live.gateway.engine.reads.batcher.free == live.gateway.engine.reads.size
    await published(live, ann)
    for stream in streams:
        assert await events(stream, 2) == [("CREATED", "A post"), ("PUBLISHED", "A post")]


async def test_a_database_that_was_away_delays_and_loses_nothing(
    live: LiveServer, ann: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event is told once it can be read, and once."""
    reads, failures = live.gateway.engine.reads, [Unavailable(), Unavailable()]
    row = reads.fetch_row

    async def failing(sql: str, parameters: Any) -> Any:
        if failures and "title" in sql:
            raise failures.pop()
        return await row(sql, parameters)

    async with following(live, query="subscription { postEvents { type post { title } } }") as stream:
        monkeypatch.setattr("gateway.graphql.execution.subscriptions.RETRY_INTERVAL_SECONDS", 0.01)
        monkeypatch.setattr(reads, "fetch_row", failing)
        await live.graphql.ask(CREATE, ann, content=CONTENT)
        assert await stream.types(2) == ["CREATED", "PUBLISHED"]
        assert failures == []
