"""Plans that the engine cannot vouch for are refused while they are made."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Select, asc, desc, exists, false, func, select
from sqlalchemy.orm import aliased

from gateway.graphql.database import Postgres, Sqlite
from gateway.graphql.documents.limits import DocumentLimits
from gateway.graphql.documents.operation import parse_operation
from gateway.graphql.planning.planner import Planner
from gateway.graphql.planning.visibility import UnsafeStatement
from models import Comment, Like, Post, PostTag, Tag, User, Viewer
from schema import build_schema
from schema import types as shown
from schema.fields import Connection, Page, entity_type, field, object_type
from schema.types import Node
from tests.gateway.graphql import world

Alias = aliased(Post)
TABLE = Post.__table__


def planned(resolver: Callable[..., Any], annotation: Any, selection: str, dialect: Any = Sqlite.dialect) -> str:
    """The statement for a field with this resolver, as somebody reads it."""
    body = {"__annotations__": {"field": annotation}, "field": field(resolver), "__doc__": "Queries."}
    made = build_schema(object_type(type("Query", (), body)), types=(shown.Comment,))._schema
    operation = parse_operation(made, DocumentLimits(), f"{{ field {selection} }}")
    plan = Planner(made, dialect, None)._build_query_plan(operation, operation.coerce_variables({}), world.SOMEBODY)
    return plan.sql


@pytest.mark.parametrize(
    "rows",
    [
        select(Alias),
        select(Post).where(select(Alias.id).where(Alias.id == Post.id).exists()),
        select(Post).join(TABLE, TABLE.c.id == Post.category_id),
        select(Post).join(Alias, Alias.id == Post.id),
        select(Post).where(Post.id.in_(select(TABLE.c.id))),
    ],
)
def test_what_escapes_a_rule_is_refused(rows: Select[Any]) -> None:
    """A bare table and an alias are met by no rule."""

    def posts(viewer: Viewer | None) -> Select[Any]:
        return rows

    for dialect in (Sqlite.dialect, Postgres.dialect):
        with pytest.raises(UnsafeStatement, match="posts: the rule"):
            planned(posts, list[shown.Post], "{ id }", dialect)


@pytest.mark.parametrize(
    "rows",
    [
        select(Post),
        select(Post).where(Post.author.has(User.name == "x")),
        select(Post).where(Post.tags.any(Tag.slug == "x")),
        select(Post).where(Post.id.in_(select(Comment.post_id))),
        select(Post).join(Comment, Comment.post_id == Post.id),
        select(Post).where(exists().where(Comment.post_id == Post.id, Comment.author_id == User.id)),
        select(Post).where(select(func.count(Comment.id)).where(Comment.post_id == Post.id).scalar_subquery() > 1),
    ],
)
def test_entities_are_met_by_their_rules(rows: Select[Any]) -> None:
    """Wherever they stand."""

    def posts(viewer: Viewer | None) -> Select[Any]:
        return rows

    assert "deleted_at IS NULL" in planned(posts, list[shown.Post], "{ id }")


def test_a_rule_may_be_left_out_where_nothing_is_read() -> None:
    """SQLAlchemy writes no condition beside `false`."""

    def posts(viewer: Viewer | None) -> Select[Any]:
        return select(Post).where(false())

    assert "deleted_at IS NULL" not in planned(posts, list[shown.Post], "{ comments { totalCount } }").split("FROM")[-1]


def test_an_expression_may_not_escape_either() -> None:
    """A count over the bare table would tell of what is hidden."""

    def count(viewer: Viewer | None) -> Any:
        return select(func.count()).select_from(TABLE).scalar_subquery()

    def counted(viewer: Viewer | None) -> Any:
        return select(func.count()).select_from(Post).scalar_subquery()

    with pytest.raises(UnsafeStatement):
        planned(count, int, "")
    assert "author_id = ?" in planned(counted, int, "")


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ((), "never null"),
        ((desc(Post.published_at), desc(Post.id)), "never null"),
        ((desc(func.lower(Post.title)), desc(Post.id)), "never null"),
        ((desc(Post.created_at), asc(Post.id)), "one direction"),
        ((desc(Post.created_at),), "unique"),
    ],
)
@pytest.mark.parametrize("paged", [Connection[shown.Post], Page[shown.Post]])
def test_pages_need_an_order_that_cursors_can_remember(paged: Any, order: tuple[Any, ...], words: str) -> None:
    """Never null, in one direction, unique at its end."""

    def posts(viewer: Viewer | None) -> Select[Any]:
        return select(Post).order_by(*order)

    with pytest.raises(UnsafeStatement, match=words):
        planned(posts, paged, "{ __typename }")


def test_a_row_is_reached_by_a_join() -> None:
    """A sub-select two levels below its row would be a product of both tables, without a word."""

    def too_deep(viewer: Viewer | None, tag: type[Tag]) -> Select[Any]:
        linked = exists().where(PostTag.post_id == Post.id, PostTag.tag_id == tag.id)
        return select(Post).where(linked).order_by(Post.created_at, Post.id)

    def joined(viewer: Viewer | None, tag: type[Tag]) -> Select[Any]:
        rows = select(Post).join(PostTag, PostTag.post_id == Post.id)
        return rows.where(PostTag.tag_id == tag.id).order_by(Post.created_at, Post.id)

    def tags(viewer: Viewer | None) -> Select[Any]:
        return select(Tag)

    for resolver, is_sound in ((too_deep, False), (joined, True)):
        body = {"__annotations__": {"posts": Connection[shown.Post]}, "posts": field(resolver), "__doc__": "A tag."}
        tag = entity_type(Tag, name="OtherTag")(type("OtherTag", (Node,), body))
        for selection in ("{ posts { totalCount } }", "{ posts { nodes { id } } }"):
            if is_sound:
                assert planned(tags, list[tag], selection)
            else:
                with pytest.raises(UnsafeStatement, match="use a join"):
                    planned(tags, list[tag], selection)


def test_has_liked_reaches_its_row() -> None:
    """An expression over its row is one level below it."""

    def has_liked(viewer: Viewer | None) -> Select[Any]:
        return select(Post).where(exists().where(Like.post_id == Post.id))

    assert planned(has_liked, list[shown.Post], "{ viewerHasLiked }").count("EXISTS") == 2
