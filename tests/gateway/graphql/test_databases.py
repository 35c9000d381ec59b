"""Reading from either database: together where requests wait, again after a restart, and never for ever."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest
from sqlalchemy import text

from gateway.graphql.database import open_reads
from gateway.graphql.database.batching import QueryBatcher, batched_sql
from gateway.graphql.engine import Engine
from models import Database
from models.errors import Unavailable, ValidationError
from schema import schema
from tests.gateway.graphql import world
from tests.gateway.graphql.conftest import EngineClient

LIST = """query($n: Int, $q: String, $c: String, $i: ID!, $t: String) {
  posts(first: $n, after: $c, filter: {q: $q, tag: $t}) { totalCount nodes { id title author { name } viewerHasLiked } }
  post(id: $i) { title createdAt } postPage(limit: $n) { data { id } pages } }"""
DEEP = """{ posts { nodes { id author { posts { nodes { id tags { posts { nodes { id comments {
  nodes { author { name } } pageInfo { hasNextPage endCursor } } } } } } totalCount } } } } }"""


@pytest.fixture
async def postgres(anyio_backend: str, unused_database: Callable[[str], Awaitable[str]]) -> AsyncIterator[EngineClient]:
    """The world in a Postgres of this test's own, over two connections."""
    url = await unused_database("postgres")
    db, reads = Database(url, pool_size=1), await open_reads(url, size=2)
    await world.fill(db)
    yield EngineClient(db, reads, Engine(schema, reads))
    await reads.close()
    await db.close()


@pytest.mark.parametrize("source", [DEEP, "{ categories { posts { nodes { id } } } tags { id } posts { totalCount } }"])
async def test_a_query_is_one_statement(client: EngineClient, source: str) -> None:
    """However deep it is and however much it asks."""
    before = client.statements
    assert await client.data(source, viewer=world.SOMEBODY)
    assert client.statements == before + 1


async def test_counts_and_cursors_cost_nothing_unless_asked_for(client: EngineClient) -> None:
    """A plan has only what its selection names."""
    await client.data("{ posts { nodes { id } } }")
    plain = list(client.engine.planner.plans.values.values())[-1].sql
    await client.data("{ posts { nodes { id } totalCount pageInfo { hasNextPage } } }")
    counted = list(client.engine.planner.plans.values.values())[-1].sql
    assert ("count(" in plain, "EXISTS" in plain) == (False, False)
    assert ("count(" in counted, "EXISTS" in counted) == (True, True)


async def test_waiting_requests_of_one_plan_travel_together(postgres: EngineClient) -> None:
    """Each is answered as if it were alone, and no group is ever split."""
    post = str(world.POSTS[0].id)
    texts = ["Content", "strasse", "%", None, "nowhere", "é"]
    request = [
        {"n": n % 4 + 1, "q": texts[n % len(texts)] or "A", "i": post if n % 2 else "x", "t": f"t{n % 3}"}
        for n in range(60)
    ]
    alone = [await postgres.data(LIST, each, world.SOMEBODY) for each in request]
    batcher = postgres.reads.batcher
    sent = batcher.statements
    assert await asyncio.gather(*(postgres.data(LIST, each, world.SOMEBODY) for each in request)) == alone
    assert batcher.statements - sent < len(request) / 2
    assert batcher.coalesced > len(request) / 2
    assert batcher.splits == 0


async def test_every_kind_of_parameter_travels_in_groups(postgres: EngineClient) -> None:
    """Cursors of every order: moments, numbers, text and ids."""
    source = """query($n: Int, $c: String, $o: PostOrder, $p: Int) { posts(first: $n, after: $c, orderBy: $o) {
        nodes { id } pageInfo { endCursor } } postPage(page: $p, limit: $n) { page total } }"""
    for order in ("NEWEST", "OLDEST", "TITLE", "MOST_LIKED"):
        start = await postgres.data(source, {"n": 3, "o": order, "p": 1}, world.ADMIN)
        cursor = start["posts"]["pageInfo"]["endCursor"]
        given = [{"n": n, "c": cursor, "o": order, "p": n} for n in range(1, 12)]
        alone = [await postgres.data(source, each, world.ADMIN) for each in given]
        assert await asyncio.gather(*(postgres.data(source, each, world.ADMIN) for each in given)) == alone
    assert postgres.reads.batcher.splits == 0


async def test_a_group_with_a_bad_parameter_is_split(postgres: EngineClient) -> None:
    """Its neighbours are answered, and the split is counted."""
    sql = "select (1000 / $1::INTEGER)::text"
    request = [postgres.reads.fetch_row(sql, [n]) for n in (1, 2, 0, 4, 5, 10)]
    result = await asyncio.gather(*request, return_exceptions=True)
    assert [row if isinstance(row, Exception) else row[0] for row in result[:2]] == ["1000", "500"]
    assert isinstance(result[2], asyncpg.DivisionByZeroError)
    assert [row[0] for row in result[3:]] == ["250", "200", "100"]
    assert postgres.reads.batcher.splits == 1


async def test_a_caller_that_goes_away_leaves_the_others(postgres: EngineClient) -> None:
    """Its answer is dropped."""
    request = [asyncio.create_task(postgres.data(LIST, {"n": 2, "i": "x"})) for _ in range(20)]
    await asyncio.sleep(0.001)
    for task in request[::3]:
        task.cancel()
    result = await asyncio.gather(*request, return_exceptions=True)
    responses = [each for each in result if not isinstance(each, BaseException)]
    assert len(responses) >= 13
    assert all(each == responses[0] for each in responses)
    await asyncio.wait(postgres.reads.batcher.running or {asyncio.create_task(asyncio.sleep(0))})
    assert postgres.reads.batcher.free == 2


async def test_connections_are_kept_and_lost_ones_replaced(postgres: EngineClient) -> None:
    """One is made when all others are in use, and there are never more than may be."""
    batcher = postgres.reads.batcher
    for n in range(5):
        assert tuple(await batcher.fetch_row("select $1", [str(n)])) == (str(n),)
    (first,) = batcher.idle
    first.terminate()
    assert tuple(await batcher.fetch_row("select 'x'", [])) == ("x",)
    (second,) = batcher.idle
    assert (second is first, second.is_closed()) == (False, False)
    await asyncio.gather(*(batcher.fetch_row(f"select {n}", []) for n in range(20)))
    while batcher.running:
        await asyncio.wait(batcher.running)
    assert len(batcher.idle) == postgres.reads.size == 2
    assert second in batcher.idle


async def test_closing_waits_for_what_is_running(postgres: EngineClient) -> None:
    """Whoever waits is answered, and no connection is left."""
    opened = []

    async def connect() -> asyncpg.Connection:
        opened.append(await postgres.reads.batcher.connect())
        return opened[-1]

    batcher = QueryBatcher(connect, 2, 10.0)
    request = [asyncio.create_task(batcher.fetch_row(f"select {n} from pg_sleep(0.05)", [])) for n in range(6)]
    await asyncio.sleep(0)
    await batcher.close()
    assert [tuple(await each) for each in request] == [(n,) for n in range(6)]
    assert [each.is_closed() for each in opened] == [True, True]


async def test_connections_come_back_after_the_server_restarts(postgres: EngineClient) -> None:
    """Who asks while it is away is told so; who asks later is answered."""
    source = "{ posts { totalCount } }"
    before = await postgres.data(source)
    async with postgres.db.reading() as session:
        others = "pid <> pg_backend_pid() and datname = current_database()"
        await session.execute(text(f"select pg_terminate_backend(pid) from pg_stat_activity where {others}"))
    result = [await postgres(source) for _ in range(4)]
    assert result[-1] == {"data": before}
    assert {error["extensions"]["code"] for each in result for error in each.get("errors", ())} <= {"UNAVAILABLE"}


async def test_a_server_that_is_not_there_is_unavailable(postgres: EngineClient) -> None:
    """At once, and to everyone who waits."""

    async def fail() -> asyncpg.Connection:
        raise ConnectionRefusedError

    batcher = QueryBatcher(fail, 2, 10.0)
    request = [batcher.fetch_row("select 1", []) for _ in range(5)]
    result = await asyncio.gather(*request, return_exceptions=True)
    assert [type(each) for each in result] == [Unavailable] * 5
    assert (batcher.free, len(batcher.queue)) == (2, 0)


async def test_long_statements_are_cut_short(
    anyio_backend: str, unused_database: Callable[[str], Awaitable[str]]
) -> None:
    """And the connection is of use again."""
    for dialect, sql in [
        ("sqlite", "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n"),
        ("postgres", "select pg_sleep(20)::text"),
    ]:
        reads = await open_reads(await unused_database(dialect), size=1, query_timeout=0.2)
        with pytest.raises(Unavailable):
            await asyncio.wait_for(reads.fetch_row(sql, []), 5)
        assert tuple(await reads.fetch_row("select 'x'", [])) == ("x",)
        await reads.close()


async def test_what_a_database_cannot_hold_is_refused(client: EngineClient) -> None:
    """Statements and values beyond its bounds are the client's doing, and not a 500."""
    limits = {"sqlite": "select zeroblob(2000000000)", "postgresql": "select repeat('x', 1200000000)"}
    with pytest.raises(ValidationError, match="too large"):
        await client.reads.fetch_row(limits[client.reads.dialect.name], [])


async def test_reads_change_nothing(client: EngineClient) -> None:
    """Connections are opened for reading."""
    with pytest.raises((Unavailable, asyncpg.ReadOnlySQLTransactionError)):
        await client.reads.fetch_row("delete from posts returning id", [])


def test_a_statement_over_arrays() -> None:
    """Each parameter becomes a column of its type; one without a type is text."""
    assert batched_sql("SELECT $1::UUID, $2::TIMESTAMP WITH TIME ZONE, $1, $10") == (
        "select answer.* from unnest($1::UUID[], $2::TIMESTAMP WITH TIME ZONE[], $10::text[])"
        " with ordinality as each_(p1, p2, p10, place)"
        " cross join lateral (SELECT each_.p1::UUID, each_.p2::TIMESTAMP WITH TIME ZONE, each_.p1, each_.p10) as answer"
        " order by each_.place"
    )
