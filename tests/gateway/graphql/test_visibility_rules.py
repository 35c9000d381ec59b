"""A rule is written without what the other conditions say already, and never without anything else."""

from uuid import UUID

import pytest
from sqlalchemy import Uuid, and_, or_

from gateway.graphql.engine import GraphQLRequest
from gateway.graphql.planning.parameters import RequestParameter
from gateway.graphql.planning.visibility import simplify
from models import Post, PostStatus, Viewer, new_id
from tests.gateway.graphql.conftest import EngineClient
from tests.support.accounts import Account
from tests.support.callers import GraphQL
from tests.support.servers import Server
from tests.support.writing import CONTENT

MINE = Post.author_id == RequestParameter(("viewer",), Uuid())
PUBLISHED, KEPT = Post.status == PostStatus.PUBLISHED, Post.deleted_at.is_(None)
RULE = and_(or_(PUBLISHED, MINE), KEPT)


@pytest.mark.parametrize(
    ("others", "left"),
    [
        ([PUBLISHED, KEPT], "true"),
        ([PUBLISHED], "posts.deleted_at IS NULL"),
        ([and_(KEPT, PUBLISHED)], "true"),
        ([KEPT], str(or_(PUBLISHED, MINE))),
        ([or_(PUBLISHED, KEPT)], str(RULE)),
        ([Post.status == PostStatus.DRAFT], str(RULE)),
        ([Post.status != PostStatus.PUBLISHED], str(RULE)),
        ([Post.author_id == RequestParameter(("variables", "author"), Uuid())], str(RULE)),
        ([MINE], str(RULE)),
        ([], str(RULE)),
    ],
)
def test_only_what_is_said_already_is_left_out(others, left):
    """What requests give is never taken for the same, whatever SQLAlchemy thinks of two empty parameters."""

    def words(clause) -> str:
        return str(clause).replace("request_2", "request_1")

    assert words(simplify(RULE, others)) == words(left)


async def test_a_list_of_what_is_published_is_the_same_for_every_viewer(client: EngineClient):
    """So it is counted for all of them at once; a list that may hold one's own drafts is one's own."""

    async def is_personal(source: str) -> bool:
        operation = await client.engine.get_operation(GraphQLRequest(source))
        return (
            await client.engine.planner.query_plan(operation, operation.coerce_variables({}), Viewer(new_id()))
        ).is_personal

    assert not await is_personal("{ posts { totalCount nodes { title author { name } } } }")
    assert await is_personal("{ posts(filter: {status: null}) { totalCount } }")
    assert await is_personal("{ posts(filter: {status: DRAFT}) { totalCount } }")


async def test_drafts_stay_their_authors_whoever_is_named(server: Server, author: Account, stranger: Account):
    """By any filter that reads like the rule."""
    graphql = GraphQL(server.anonymous)
    await graphql.create(author, title="A draft", content=CONTENT)
    for viewer, seen in ((author, ["A draft"]), (stranger, []), (None, [])):
        for status in ("DRAFT", None):
            filter = {"status": status, "authorId": author.id}
            assert [post["title"] for post in (await graphql.posts(viewer, filter=filter))["nodes"]] == seen
            page = await graphql.page(viewer, status=status, authorId=str(UUID(author.id)))
            assert [post["title"] for post in page["data"]] == seen
