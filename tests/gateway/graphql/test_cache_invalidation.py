"""Cache invalidation: at once on the server that was written to, soon on others."""

import asyncio
import os
import random
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from sqlalchemy import make_url

from models import Database
from models.database import postgres, sqlite
from models.errors import Unavailable
from resolvers import accounts
from resolvers.cleanup import prune_events
from tests.support.accounts import Account
from tests.support.cache_metrics import get_response_cache_hits
from tests.support.callers import ErrorResponse, GraphQL, Rest
from tests.support.servers import Server
from tests.support.stores import format_libpq_url
from tests.support.waiting import TEST_TIMEOUT_SECONDS
from tests.support.writing import CONTENT

WHOLE = """id title slug excerpt status version commentCount likeCount viewerHasLiked author { name role }
    tags { name } category { name } comments { totalCount nodes { content author { name } } }"""
QUERIES = [
    f"query ($id: ID!) {{ post(id: $id) {{ {WHOLE} }} }}",
    "query ($id: ID!, $other: ID!) { a: post(id: $id) { title likeCount } b: post(id: $other) { title likeCount } }",
    "query ($id: ID!) { post(id: $id) { author { posts { totalCount nodes { title likeCount } } } } }",
    "query ($id: ID!) { post(id: $id) { tags { posts(filter: {status: null}) { totalCount } } } }",
    "query ($id: ID!) { post(id: $id) { comments { nodes { content post { commentCount } } } } }",
    "query ($slug: String!) { post(slug: $slug) { title status } }",
    "query ($id: ID!) { node(id: $id) { id ... on Post { title likeCount } } }",
    "{ posts(first: 5) { totalCount nodes { id title likeCount } } }",
    "{ posts(filter: {status: DRAFT}) { nodes { title } } }",
    "{ posts(orderBy: MOST_LIKED) { nodes { id } } }",
    '{ posts(filter: {q: "edited"}) { totalCount nodes { title } } }',
    '{ posts(filter: {tag: "oak"}) { nodes { title } } tags { name posts { totalCount } } }',
    "{ postPage(limit: 3) { total pages data { title } } }",
    "query ($user: ID!) { user(id: $user) { name role posts { totalCount } } }",
    "{ viewer { name role } categories { name } }",
]
STEPS, SEED = int(os.environ.get("CACHE_STEPS", "20")), int(os.environ.get("CACHE_SEED", "1"))
TAGS = ["Oak", "Ash", "Elm"]


class Story:
    """Writes and reads by chance, the same for the same seed."""

    def __init__(self, seed: int, api: GraphQL, writers: list[Any], admin: Any) -> None:
        self.chance, self.api, self.writers, self.admin = random.Random(seed), api, writers, admin
        self.posts: list[dict[str, Any]] = []
        self.comments: list[str] = []

    async def write(self) -> None:
        """One of all that can be done, to any post by anybody."""
        chance, api = self.chance, self.api
        who, post = chance.choice([*self.writers, self.admin]), chance.choice(self.posts) if self.posts else None
        match chance.randrange(12) if post else 0:
            case 0:
                status, tags = chance.choice(["DRAFT", "PUBLISHED"]), chance.sample(TAGS, chance.randrange(3))
                self.posts.append(await api.create(who, title="A post", content=CONTENT, status=status, tags=tags))
            case 1 | 2:
                await api.like(who, post["id"])
            case 3:
                await api.unlike(who, post["id"])
            case 4 | 5:
                output = await api.comment(who, post["id"], f"Comment {len(self.comments)}")
                self.comments += [] if isinstance(output, ErrorResponse) else [output["id"]]
            case 6 if self.comments:
                await api.ask("mutation ($id: ID!) { deleteComment(id: $id) }", who, id=self.comments.pop())
            case 7:
                await api.update(who, post["id"], title=f"Edited {chance.randrange(99)}")
            case 8:
                await api.update(who, post["id"], tags=chance.sample(TAGS, chance.randrange(3)))
            case 9:
                await api.publish(who, post["id"])
            case 10:
                await api.archive(who, post["id"])
            case _:
                await chance.choice([api.delete, api.restore])(self.admin, post["id"])

    def question(self) -> tuple[str, Any, dict[str, Any]]:
        chance = self.chance
        query, viewer = chance.choice(QUERIES), chance.choice([None, None, *self.writers, self.admin])
        post, other = chance.choice(self.posts), chance.choice(self.posts)
        given = {"id": post["id"], "other": other["id"], "slug": post["slug"], "user": chance.choice(self.writers).id}
        return query, viewer, {name: value for name, value in given.items() if f"${name}" in query}


async def test_whatever_is_written_a_server_that_keeps_answers_gives_those_of_one_that_does_not(
    server, uncached, author, stranger, admin
):
    """After each write, to anybody, over either protocol. `CACHE_SEED` tells another story."""
    before = await get_response_cache_hits(server)
    story, reference = Story(SEED, GraphQL(server.anonymous), [author, stranger], admin), GraphQL(uncached.anonymous)
    for _ in range(STEPS):
        await story.write()
        for query, viewer, variables in [story.question() for _ in range(4)]:
            expected = (await reference.send(query, viewer, **variables)).json()
            for _ in range(2):
                assert (await story.api.send(query, viewer, **variables)).json() == expected, query
        viewer, id = story.chance.choice([None, stranger]), story.chance.choice(story.posts)["id"]
        kept, fresh = Rest(server.anonymous), Rest(uncached.anonymous)
        assert await kept.post(viewer, id) == await fresh.post(viewer, id)
        assert await kept.page(viewer, limit=3) == await fresh.page(viewer, limit=3)
    assert await get_response_cache_hits(server) - before > STEPS


async def test_under_a_hammer_nobody_reads_what_was_before_a_write(server, graphql, rest, author):
    """Writers read their own writes at once, readers never go back, whichever way they ask."""
    posts = [await graphql.create(author, title="Title 0", content=CONTENT, status="PUBLISHED") for _ in range(2)]
    versions, writing = {post["id"]: 1 for post in posts}, True

    async def versions_read(id: str) -> list[int]:
        listed = await graphql.one("{ posts { nodes { id version } } }")
        return [
            (await rest.post(None, id))["version"],
            (await graphql.post(None, id))["version"],
            next(node["version"] for node in listed["nodes"] if node["id"] == id),
        ]

    async def write(id: str) -> None:
        for number in range(1, 9):
            written = await graphql.update(author, id, title=f"Title {number}")
            versions[id] = written["version"]
            assert await versions_read(id) == [written["version"]] * 3

    async def read(id: str) -> int:
        count = 0
        while writing:
            least = versions[id]
            assert min(await versions_read(id)) >= least
            count += 1
            await asyncio.sleep(0)  # what is kept is answered without a wait, and others want their turn
        return count

    before = await get_response_cache_hits(server)
    readers = [asyncio.ensure_future(read(post["id"])) for post in posts for _ in range(2)]
    try:
        await asyncio.gather(*(write(post["id"]) for post in posts))
    finally:
        writing = False
    assert min(await asyncio.gather(*readers)) > 3
    assert await get_response_cache_hits(server) - before > 20


async def until(read: Any, expected: Any) -> None:
    """The travel of an event: long on a busy machine, but never for good."""
    async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
        while await read() != expected:  # noqa: ASYNC110 - what another process knows sets no event of ours
            await asyncio.sleep(0.01)


async def test_other_servers_hear_of_a_write_soon(server, make_server, graphql, author, published):
    """What they kept of it is dropped; what they kept of another post stays."""
    another = await graphql.create(author, title="Another", content=CONTENT, status="PUBLISHED")
    elsewhere = await make_server()
    there = Rest(elsewhere.anonymous)

    async def title() -> str:
        return (await there.post(None, published["id"]))["title"]

    async def titles() -> list[str]:
        return [post["title"] for post in (await there.page(None))["data"]]

    await until(lambda: kept(elsewhere, lambda: there.post(None, another["id"])), True)
    assert (await title(), await titles()) == ("A published post", ["Another", "A published post"])
    await graphql.update(author, published["id"], title="Edited")
    await until(title, "Edited")
    await until(titles, ["Another", "Edited"])
    assert await kept(elsewhere, lambda: there.post(None, another["id"]))


async def kept(server: Any, read: Any) -> bool:
    """Whether a read is answered from what is kept."""
    before = await get_response_cache_hits(server)
    await read()
    return await get_response_cache_hits(server) > before


async def test_a_promotion_by_command_is_heard_of(server, graphql, author, published):
    """Though it is done in another process, and is nobody's news."""
    query, id = "query ($id: ID!) { post(id: $id) { author { role } } }", published["id"]
    assert await graphql.one(query, id=id) == {"author": {"role": "USER"}}
    db = Database(server.database_url)
    await accounts.promote(db, author.email)
    await db.close()
    await until(lambda: graphql.one(query, id=id), {"author": {"role": "ADMIN"}})


class Held:
    """Lets the next statement be read, but not be answered until it is let go."""

    def __init__(self, reads: Any) -> None:
        self.row, self.was_read, self.may_go = reads.fetch_row, asyncio.Event(), asyncio.Event()
        reads.fetch_row = self.held

    async def held(self, sql: str, parameters: Any) -> Any:
        row, held = await self.row(sql, parameters), not self.was_read.is_set()
        self.was_read.set()
        if held:
            await self.may_go.wait()
        return row


async def test_a_response_overtaken_by_a_write_is_not_cached(make_server, author, published):
    """A read that saw what was before is answered with it; who asks after the write is not."""
    server = await make_server()
    api, reads = GraphQL(server.anonymous), server.app.state.gateway.engine.reads
    query, id = "query ($id: ID!) { post(id: $id) { title } }", published["id"]
    held = Held(reads)
    early = asyncio.ensure_future(api.one(query, id=id))
    async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
        await held.was_read.wait()
    await api.update(author, id, title="Edited")
    held.may_go.set()
    assert await early == {"title": "A published post"}
    assert await api.one(query, id=id) == {"title": "Edited"}


async def test_a_commit_that_comes_late_with_an_earlier_id_is_heard_of(postgres_url, servers):
    """Events are heeded as they are seen, though the log passes them on in their order."""
    server = await servers.on(postgres_url)
    author = await server.account("Ann Author")
    api = GraphQL(server.anonymous)
    first, second = [await api.create(author, title="Before", content=CONTENT, status="PUBLISHED") for _ in range(2)]
    query = "query ($id: ID!) { post(id: $id) { title } }"
    late = await asyncpg.connect(format_libpq_url(make_url(postgres_url)))
    try:
        transaction = late.transaction()
        await transaction.start()
        await write_by_hand(late, first["id"])
        other = await asyncpg.connect(format_libpq_url(make_url(postgres_url)))
        assert [await api.one(query, id=post["id"]) for post in (first, second)] == [{"title": "Before"}] * 2
        await write_by_hand(other, second["id"])
        await other.close()
        await until(lambda: api.one(query, id=second["id"]), {"title": "After"})
        assert await api.one(query, id=first["id"]) == {"title": "Before"}
        await transaction.commit()
        await until(lambda: api.one(query, id=first["id"]), {"title": "After"})
    finally:
        await late.close()


async def write_by_hand(connection: asyncpg.Connection, id: str) -> None:
    """As another server would."""
    await connection.execute("update posts set title = 'After' where id = $1", id)
    event = "insert into events (type, entity_id, post_id, at) values ('post.updated', $1, $1, now())"
    await connection.execute(event, id)


@pytest.fixture
async def deaf(make_server, monkeypatch):
    """A server that cannot read the log until it is told to go on."""
    server = await make_server()
    log = server.app.state.gateway.log
    hear = log.read_page

    async def away() -> bool:
        raise Unavailable

    def go_on() -> None:
        log.read_page = hear
        log.wake()

    log.read_page, server.app.state.go_on = away, go_on
    return server


async def test_without_the_event_log_nothing_is_served_from_the_cache(deaf, graphql, author, published):
    """For what may have happened meanwhile; and once it is back, what happened is known."""
    there, responses = Rest(deaf.anonymous), deaf.app.state.gateway.engine.response_cache
    assert (await there.post(None, published["id"]))["title"] == "A published post"
    responses.log_read_at = float("-inf")
    await graphql.update(author, published["id"], title="Edited")
    assert (await there.post(None, published["id"]))["title"] == "Edited"
    assert not await kept(deaf, lambda: there.post(None, published["id"]))
    deaf.app.state.go_on()
    await until(lambda: kept(deaf, lambda: there.post(None, published["id"])), True)


async def test_events_that_are_pruned_unheard_touch_everything(deaf, graphql, author, published):
    """What they said is lost, so nothing that was kept before them holds."""
    there, db = Rest(deaf.anonymous), Database(deaf.database_url)
    assert (await there.post(None, published["id"]))["title"] == "A published post"
    await graphql.update(author, published["id"], title="Edited")
    await prune_events(db, timedelta(0))
    await db.close()
    deaf.app.state.go_on()
    await until(lambda: titled(there, published["id"]), "Edited")


async def test_a_write_whose_commit_was_not_answered_is_heeded_at_once(deaf, author, published, monkeypatch):
    """It was done, and nobody could say so: the next read finds it, though the log is silent."""
    monkeypatch.setattr("gateway.graphql.cache.response_cache.LOG_TIMEOUT_SECONDS", TEST_TIMEOUT_SECONDS)
    api, db = Rest(deaf.anonymous), deaf.app.state.gateway.db
    dialect = sqlite if db.is_sqlite else postgres
    commit, announced = dialect.commit, []

    async def unanswered(driver: Any) -> None:
        await commit(driver)
        raise Unavailable

    assert await titled(api, published["id"]) == "A published post"
    db.notify = lambda: announced.append(True)
    with monkeypatch.context() as lost:
        lost.setattr(dialect, "commit", unanswered)
        assert await saved(deaf, author, published["id"], title="Edited") == 503
    assert await titled(api, published["id"]) == "Edited"
    assert announced == [True]


async def saved(server: Server, author: Account, id: str, **changes: str) -> int:
    """The status of the answer to an edit, which may be of any kind."""
    response = await server.anonymous.patch(f"/api/posts/{id}", json=changes, headers=author.headers)
    return response.status_code


async def titled(api: Rest, id: str) -> str:
    return (await api.post(None, id))["title"]


async def test_a_write_that_changes_nothing_drops_nothing(server, graphql, author, stranger, published):
    """One that is refused, and one that was done before."""
    await graphql.like(author, published["id"])
    await graphql.post(None, published["id"])
    await graphql.like(author, published["id"])
    assert (await graphql.archive(stranger, published["id"])).code == "FORBIDDEN"
    assert await kept(server, lambda: graphql.post(None, published["id"]))
