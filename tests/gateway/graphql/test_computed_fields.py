"""Fields in plain Python: made of columns that are read along with the rest, at any depth, for any operation."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest
import strawberry

import models
import resolvers
from gateway.graphql.engine import Engine
from models.errors import Conflict
from resolvers import RequestContext
from schema import build_schema
from schema.fields import Connection, computed_field, entity_type, field, mutation, object_type
from schema.types import Node
from tests.gateway.graphql import world
from tests.gateway.graphql.conftest import EngineClient


def shouted(title: str) -> str:
    """The title, louder."""
    return title.upper()


async def told_later(created_at: str, version: int) -> str:
    """Two columns, as the wire spells them."""
    await asyncio.sleep(0)
    return f"{created_at} v{version}"


def refused(id: str) -> str:
    """Never."""
    raise Conflict(f"not {id}")


@entity_type(models.Post, name="Post")
class PostInPython(Node):
    """A post."""

    title: str
    shouted: str = computed_field(shouted, needs=("title",))
    later: str = computed_field(told_later, needs=("created_at", "version"))
    refused: str | None = computed_field(refused, needs=("id",))
    author: UserInPython


@entity_type(models.User, name="User")
class UserInPython(Node):
    """A user."""

    name: str
    posts: Connection[PostInPython] = field(resolvers.posts.by_author)


@object_type
class Query:
    """Queries."""

    post: PostInPython | None = field(resolvers.posts.post)
    node: Node | None = field(resolvers.nodes.node)

    @strawberry.field(description="Nothing that a database knows.")
    async def now(self, info: strawberry.Info) -> str:
        return info.context.request_id


runs: list[UUID] = []


async def touch(ctx: RequestContext, id: UUID) -> UUID:
    """Do something."""
    runs.append(id)
    return id


@object_type
class Mutation:
    """Mutations."""

    touch: PostInPython = mutation(touch)


@entity_type(models.Comment)
class Comment(Node):
    """A comment."""


@entity_type(models.Category)
class Category(Node):
    """A category."""


@entity_type(models.Tag)
class Tag(Node):
    """A tag."""


@entity_type(models.Order)
class Order(Node):
    """An order."""


@entity_type(models.Upload)
class Upload(Node):
    """An upload."""


@pytest.fixture
def computing(client: EngineClient) -> EngineClient:
    runs.clear()
    types = (Comment, Category, Tag, Order, Upload)
    return EngineClient(client.db, client.reads, Engine(build_schema(Query, Mutation, types), client.reads))


POST = next(post for post in world.POSTS if post.deleted_at is None and post.status is models.PostStatus.PUBLISHED)
ID = str(POST.id)
LATER = f"{POST.created_at.strftime('%Y-%m-%dT%H:%M:%S.%fZ')} v{POST.version}"


async def test_computed_fields_are_made_of_their_columns(computing: EngineClient) -> None:
    """One statement reads what they need; the columns themselves are not shown unless asked for."""
    before = computing.statements
    author = "author { posts(first: 50) { nodes { id shouted } } }"
    source = f"query($i: ID) {{ now p: post(id: $i) {{ loud: shouted later {author} }} }}"
    result = await computing.data(source, {"i": ID})
    assert computing.statements == before + 1
    assert list(result["p"]) == ["loud", "later", "author"]
    assert (result["now"], result["p"]["loud"], result["p"]["later"]) == ("r", POST.title.upper(), LATER)
    assert {"id": ID, "shouted": POST.title.upper()} in result["p"]["author"]["posts"]["nodes"]


async def test_computed_fields_of_an_interface(computing: EngineClient) -> None:
    """Each row of an interface knows what it is."""
    source = "query($i: ID!) { node(id: $i) { __typename id ... on Post { shouted } ... on User { name } } }"
    assert await computing.data(source, {"i": ID}) == {
        "node": {"__typename": "Post", "id": ID, "shouted": POST.title.upper()}
    }
    user = world.USERS[1]
    assert await computing.data(source, {"i": str(user.id)}) == {
        "node": {"__typename": "User", "id": str(user.id), "name": user.name}
    }


async def test_computed_fields_refuse_as_others_do(computing: EngineClient) -> None:
    """With their path and code."""
    result = await computing("query($i: ID) { post(id: $i) { refused title } }", {"i": ID})
    assert result["data"] == {"post": {"refused": None, "title": POST.title}}
    assert [(e["path"], e["extensions"]["code"]) for e in result["errors"]] == [(["post", "refused"], "CONFLICT")]


async def test_a_mutation_that_graphql_core_completes_runs_once(computing: EngineClient) -> None:
    """What it returned is read, then finished."""
    assert await computing.data("mutation($i: ID!) { touch(id: $i) { shouted title } }", {"i": ID}) == {
        "touch": {"shouted": POST.title.upper(), "title": POST.title}
    }
    assert runs == [POST.id]
