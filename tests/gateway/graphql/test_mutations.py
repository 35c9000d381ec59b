"""Mutations: done once and in turn, then read as whoever is the viewer by then."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select

import models
from gateway.graphql.engine import Engine
from models import Post, Viewer
from models.errors import Conflict
from resolvers import RequestContext
from schema import build_schema
from schema.fields import mutation, object_type
from schema.query import Query
from schema.types import Post as PostType
from schema.types import PostStatus, User
from tests.gateway.graphql.conftest import EngineClient

REGISTER = """mutation($i: RegisterInput!) { register(input: $i) {
  accessToken refreshToken life: expiresIn __typename user { __typename id name email posts { totalCount } } } }"""
CREATE = """mutation($i: CreatePostInput!) { createPost(input: $i) {
  id title excerpt status author { name } tags { slug } viewerHasLiked } }"""
ANN = {"name": "Ann", "email": "Ann@Example.com", "password": "correct horse"}
WORDS = {"title": "Words", "content": "Enough of them."}


async def signed_in(empty_client: EngineClient) -> Viewer:
    result = await empty_client.data(REGISTER, {"i": ANN})
    return Viewer(UUID(result["register"]["user"]["id"]))


async def test_signing_in_is_read_as_the_new_viewer(empty_client: EngineClient) -> None:
    """Plain values are spelled as they are; the account is read from the database, which shows one's own address."""
    result = (await empty_client.data(REGISTER, {"i": ANN}))["register"]
    user = result.pop("user")
    assert list(result) == ["accessToken", "refreshToken", "life", "__typename"]
    assert (result["life"], result["__typename"]) == (900, "AuthPayload")
    assert user | {"id": ""} == {
        "__typename": "User",
        "id": "",
        "name": "Ann",
        "email": "ann@example.com",
        "posts": {"totalCount": 0},
    }


async def test_an_entity_is_read_after_it_was_written(empty_client: EngineClient) -> None:
    """Defaults of the input and of the database among it."""
    viewer = await signed_in(empty_client)
    result = (await empty_client.data(CREATE, {"i": WORDS | {"tags": ["One", "two"]}}, viewer))["createPost"]
    assert result | {"id": ""} == {
        "id": "",
        "title": "Words",
        "excerpt": None,
        "status": "DRAFT",
        "author": {"name": "Ann"},
        "tags": [{"slug": "one"}, {"slug": "two"}],
        "viewerHasLiked": False,
    }
    assert (await empty_client.data("mutation($i: ID!) { deletePost(id: $i) }", {"i": result["id"]}, viewer)) == {
        "deletePost": result["id"]
    }


async def test_inputs_are_refused_by_their_models(empty_client: EngineClient) -> None:
    """Field by field, as REST does, and nothing is written."""
    viewer = await signed_in(empty_client)
    rejected = await empty_client.error(CREATE, {"i": {"title": "", "content": "short", "tags": ["x" * 51]}}, viewer)
    assert rejected["path"] == ["createPost"]
    assert list(rejected["extensions"]["details"]) == ["title", "content", "tags.0"]
    comment = 'mutation { addComment(postId: "x", content: "") { id } }'
    assert list((await empty_client.error(comment, viewer=viewer))["extensions"]["details"]) == ["content"]
    async with empty_client.db.reading() as session:
        assert await session.scalar(select(func.count()).select_from(Post)) == 0


async def test_absent_and_null_differ(empty_client: EngineClient) -> None:
    """What is left out stays; null clears what may be empty, and is refused where it may not."""
    viewer = await signed_in(empty_client)
    id = (await empty_client.data(CREATE, {"i": WORDS | {"excerpt": "Short"}}, viewer))["createPost"]["id"]
    update = "mutation($id: ID!, $i: UpdatePostInput!) { updatePost(id: $id, input: $i) { title excerpt version } }"
    kept = await empty_client.data(update, {"id": id, "i": {"title": "New"}}, viewer)
    assert kept == {"updatePost": {"title": "New", "excerpt": "Short", "version": 2}}
    cleared = await empty_client.data(update, {"id": id, "i": {"excerpt": None}}, viewer)
    assert cleared == {"updatePost": {"title": "New", "excerpt": None, "version": 3}}
    rejected = await empty_client.error(update, {"id": id, "i": {"title": None}}, viewer)
    assert list(rejected["extensions"]["details"]) == ["title"]


async def test_fields_run_in_turn_and_a_required_one_ends_them(empty_client: EngineClient) -> None:
    """What was done before stays done, though the answer has no data."""
    viewer = await signed_in(empty_client)
    source = """mutation($i: CreatePostInput!) { a: createPost(input: $i) { id } b: publishPost(id: "x") { id }
        c: createPost(input: $i) { id } }"""
    result = await empty_client(source, {"i": WORDS}, viewer)
    assert result["data"] is None
    assert [(error["path"], error["extensions"]["code"]) for error in result["errors"]] == [(["b"], "NOT_FOUND")]
    async with empty_client.db.reading() as session:
        assert await session.scalar(select(func.count()).select_from(Post)) == 1


@pytest.mark.parametrize(
    "selection", ["comments(first: 0) { totalCount }", "author { posts(filter: {deleted: true}) { totalCount } }"]
)
async def test_a_selection_that_is_refused_is_refused_before_anything_is_written(
    empty_client: EngineClient, selection: str
) -> None:
    """A client that is told of an error may try again."""
    viewer = await signed_in(empty_client)
    source = f"mutation($i: CreatePostInput!) {{ createPost(input: $i) {{ id {selection} }} }}"
    assert (await empty_client.error(source, {"i": WORDS}, viewer))["path"][:1] == ["createPost"]
    async with empty_client.db.reading() as session:
        assert await session.scalar(select(func.count()).select_from(Post)) == 0


async def test_what_only_an_operation_is_told_makes_no_plan(empty_client: EngineClient) -> None:
    """A post with three tags is read like one with none; what is used below shapes the plan."""
    viewer = await signed_in(empty_client)
    source = """mutation($i: CreatePostInput!, $n: Int, $t: Boolean = true) { createPost(input: $i) { ...P } }
        fragment P on Post { title @include(if: $t) author { posts(first: $n) { ...C } } }
        fragment C on PostConnection { totalCount @skip(if: $t) nodes { id } }"""
    await empty_client.data(source, {"i": WORDS}, viewer)
    plans = empty_client.engine.planner.plans.values
    before = len(plans)
    await empty_client.data(source, {"i": WORDS | {"tags": ["a", "b"], "excerpt": "E"}}, viewer)
    assert len(plans) == before
    other = await empty_client.data(source, {"i": WORDS, "n": 1, "t": False}, viewer)
    assert other["createPost"] == {"author": {"posts": {"totalCount": 0, "nodes": []}}}
    assert len(plans) == before + 1


@dataclass
class Told:
    """What an operation says beside an entity."""

    at: datetime
    status: models.PostStatus
    words: list[str]
    by: UUID | None


AT = datetime(2026, 1, 2, 3, 4, 5, 6, UTC)
calls: list[int] = []


async def counting_on(ctx: RequestContext, by: int = 1) -> int:
    """Count on."""
    calls.append(by)
    if by > 9:
        raise Conflict("too many")
    if by < 0:
        raise RuntimeError("a fault of ours")
    return sum(calls)


async def tell(ctx: RequestContext) -> Told:
    """Tell."""
    return Told(AT, models.PostStatus.DRAFT, ["é"], None)


async def losing(ctx: RequestContext) -> UUID:
    """Name what nobody may see."""
    return UUID(int=1)


@object_type
class Payload:
    """A payload."""

    at: datetime
    status: PostStatus
    words: list[str]
    by: User | None


@object_type
class Mutation:
    """Nullable and required fields."""

    count: int | None = mutation(counting_on)
    counted: int = mutation(counting_on)
    tell: Payload = mutation(tell)
    lose: PostType | None = mutation(losing)
    lost: PostType = mutation(losing)


@pytest.fixture
def counting(client: EngineClient) -> EngineClient:
    calls.clear()
    return EngineClient(client.db, client.reads, Engine(build_schema(Query, Mutation), client.reads))


async def test_a_nullable_field_that_fails_leaves_its_predecessors_and_followers(counting: EngineClient) -> None:
    """Each ran once; what nobody expected is masked."""
    result = await counting("mutation { a: count b: count(by: 10) c: count(by: -1) d: count(by: null) __typename }")
    assert result["data"] == {"a": 1, "b": None, "c": None, "d": 11, "__typename": "Mutation"}
    assert [(error["path"], error["extensions"]["code"], error["message"]) for error in result["errors"]] == [
        (["b"], "CONFLICT", "too many"),
        (["c"], "INTERNAL_ERROR", "Internal server error"),
    ]
    assert calls == [1, 10, -1, 1]


async def test_payloads_are_spelled_as_the_wire_has_it(counting: EngineClient) -> None:
    """Moments, enums, lists; an entity that is not named is null, and asks no row."""
    expected: dict[str, Any] = {"at": "2026-01-02T03:04:05.000006Z", "status": "DRAFT", "words": ["é"], "by": None}
    assert await counting.data("mutation { tell { at status words by { name } } }") == {"tell": expected}


async def test_what_is_named_and_cannot_be_seen_is_missing(counting: EngineClient) -> None:
    """Null where it may be, else not found."""
    result = await counting("mutation { lose { id } }")
    assert (result["data"], result.get("errors")) == ({"lose": None}, None)
    rejected = await counting.error("mutation { lost { id } }")
    assert (rejected["message"], rejected["extensions"]["status"], rejected["path"]) == (
        "Post not found",
        404,
        ["lost"],
    )
