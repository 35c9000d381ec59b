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
from schema import schema_of
from schema.fields import mutation, object_type
from schema.query import Query
from schema.types import Post as PostType
from schema.types import PostStatus, User
from tests.gateway.graphql.conftest import Asking

REGISTER = """mutation($i: RegisterInput!) { register(input: $i) {
  accessToken refreshToken life: expiresIn __typename user { __typename id name email posts { totalCount } } } }"""
CREATE = """mutation($i: CreatePostInput!) { createPost(input: $i) {
  id title excerpt status author { name } tags { slug } viewerHasLiked } }"""
ANN = {"name": "Ann", "email": "Ann@Example.com", "password": "correct horse"}
WORDS = {"title": "Words", "content": "Enough of them."}


async def signed_in(do: Asking) -> Viewer:
    told = await do.data(REGISTER, {"i": ANN})
    return Viewer(UUID(told["register"]["user"]["id"]))


async def test_signing_in_is_read_as_the_new_viewer(do: Asking) -> None:
    """Plain values are spelled as they are; the account is read from the database, which shows one's own address."""
    told = (await do.data(REGISTER, {"i": ANN}))["register"]
    user = told.pop("user")
    assert list(told) == ["accessToken", "refreshToken", "life", "__typename"]
    assert (told["life"], told["__typename"]) == (900, "AuthPayload")
    assert user | {"id": ""} == {
        "__typename": "User",
        "id": "",
        "name": "Ann",
        "email": "ann@example.com",
        "posts": {"totalCount": 0},
    }


async def test_an_entity_is_read_after_it_was_written(do: Asking) -> None:
    """Defaults of the input and of the database among it."""
    viewer = await signed_in(do)
    told = (await do.data(CREATE, {"i": WORDS | {"tags": ["One", "two"]}}, viewer))["createPost"]
    assert told | {"id": ""} == {
        "id": "",
        "title": "Words",
        "excerpt": None,
        "status": "DRAFT",
        "author": {"name": "Ann"},
        "tags": [{"slug": "one"}, {"slug": "two"}],
        "viewerHasLiked": False,
    }
    assert (await do.data("mutation($i: ID!) { deletePost(id: $i) }", {"i": told["id"]}, viewer)) == {
        "deletePost": told["id"]
    }


async def test_inputs_are_refused_by_their_models(do: Asking) -> None:
    """Field by field, as REST does, and nothing is written."""
    viewer = await signed_in(do)
    refused = await do.error(CREATE, {"i": {"title": "", "content": "short", "tags": ["x" * 51]}}, viewer)
    assert refused["path"] == ["createPost"]
    assert list(refused["extensions"]["details"]) == ["title", "content", "tags.0"]
    comment = 'mutation { addComment(postId: "x", content: "") { id } }'
    assert list((await do.error(comment, viewer=viewer))["extensions"]["details"]) == ["content"]
    async with do.db.reading() as session:
        assert await session.scalar(select(func.count()).select_from(Post)) == 0


async def test_absent_and_null_differ(do: Asking) -> None:
    """What is left out stays; null clears what may be empty, and is refused where it may not."""
    viewer = await signed_in(do)
    id = (await do.data(CREATE, {"i": WORDS | {"excerpt": "Short"}}, viewer))["createPost"]["id"]
    update = "mutation($id: ID!, $i: UpdatePostInput!) { updatePost(id: $id, input: $i) { title excerpt version } }"
    kept = await do.data(update, {"id": id, "i": {"title": "New"}}, viewer)
    assert kept == {"updatePost": {"title": "New", "excerpt": "Short", "version": 2}}
    cleared = await do.data(update, {"id": id, "i": {"excerpt": None}}, viewer)
    assert cleared == {"updatePost": {"title": "New", "excerpt": None, "version": 3}}
    refused = await do.error(update, {"id": id, "i": {"title": None}}, viewer)
    assert list(refused["extensions"]["details"]) == ["title"]


async def test_fields_run_in_turn_and_a_required_one_ends_them(do: Asking) -> None:
    """What was done before stays done, though the answer has no data."""
    viewer = await signed_in(do)
    source = """mutation($i: CreatePostInput!) { a: createPost(input: $i) { id } b: publishPost(id: "x") { id }
        c: createPost(input: $i) { id } }"""
    told = await do(source, {"i": WORDS}, viewer)
    assert told["data"] is None
    assert [(error["path"], error["extensions"]["code"]) for error in told["errors"]] == [(["b"], "NOT_FOUND")]
    async with do.db.reading() as session:
        assert await session.scalar(select(func.count()).select_from(Post)) == 1


@pytest.mark.parametrize(
    "selection", ["comments(first: 0) { totalCount }", "author { posts(filter: {deleted: true}) { totalCount } }"]
)
async def test_a_selection_that_is_refused_is_refused_before_anything_is_written(do: Asking, selection: str) -> None:
    """A client that is told of an error may try again."""
    viewer = await signed_in(do)
    source = f"mutation($i: CreatePostInput!) {{ createPost(input: $i) {{ id {selection} }} }}"
    assert (await do.error(source, {"i": WORDS}, viewer))["path"][:1] == ["createPost"]
    async with do.db.reading() as session:
        assert await session.scalar(select(func.count()).select_from(Post)) == 0


async def test_what_only_an_operation_is_told_makes_no_plan(do: Asking) -> None:
    """A post with three tags is read like one with none; what is used below shapes the plan."""
    viewer = await signed_in(do)
    source = """mutation($i: CreatePostInput!, $n: Int, $t: Boolean = true) { createPost(input: $i) { ...P } }
        fragment P on Post { title @include(if: $t) author { posts(first: $n) { ...C } } }
        fragment C on PostConnection { totalCount @skip(if: $t) nodes { id } }"""
    await do.data(source, {"i": WORDS}, viewer)
    plans = do.engine.planner.plans.values
    before = len(plans)
    await do.data(source, {"i": WORDS | {"tags": ["a", "b"], "excerpt": "E"}}, viewer)
    assert len(plans) == before
    other = await do.data(source, {"i": WORDS, "n": 1, "t": False}, viewer)
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
def counting(ask: Asking) -> Asking:
    calls.clear()
    return Asking(ask.db, ask.reads, Engine(schema_of(Query, Mutation), ask.reads))


async def test_a_nullable_field_that_fails_leaves_its_predecessors_and_followers(counting: Asking) -> None:
    """Each ran once; what nobody expected is masked."""
    told = await counting("mutation { a: count b: count(by: 10) c: count(by: -1) d: count(by: null) __typename }")
    assert told["data"] == {"a": 1, "b": None, "c": None, "d": 11, "__typename": "Mutation"}
    assert [(error["path"], error["extensions"]["code"], error["message"]) for error in told["errors"]] == [
        (["b"], "CONFLICT", "too many"),
        (["c"], "INTERNAL_ERROR", "Internal server error"),
    ]
    assert calls == [1, 10, -1, 1]


async def test_payloads_are_spelled_as_the_wire_has_it(counting: Asking) -> None:
    """Moments, enums, lists; an entity that is not named is null, and asks no row."""
    expected: dict[str, Any] = {"at": "2026-01-02T03:04:05.000006Z", "status": "DRAFT", "words": ["é"], "by": None}
    assert await counting.data("mutation { tell { at status words by { name } } }") == {"tell": expected}


async def test_what_is_named_and_cannot_be_seen_is_missing(counting: Asking) -> None:
    """Null where it may be, else not found."""
    told = await counting("mutation { lose { id } }")
    assert (told["data"], told.get("errors")) == ({"lose": None}, None)
    refused = await counting.error("mutation { lost { id } }")
    assert (refused["message"], refused["extensions"]["status"], refused["path"]) == ("Post not found", 404, ["lost"])
