"""Queries on posts. Each returns a SELECT; the models declare who may see which rows."""

from dataclasses import dataclass, field
from enum import Enum
from uuid import UUID

from sqlalchemy import ColumnElement, Select, asc, desc, exists, false, select, type_coerce

from models import Category, Like, Post, PostStatus, PostTag, Tag, User, Viewer
from models.errors import Forbidden
from models.search_text import LikePattern


class PostOrder(Enum):
    """Order of posts. NEWEST and OLDEST sort by creation time, TITLE ignores case."""

    NEWEST = "NEWEST"
    OLDEST = "OLDEST"
    TITLE = "TITLE"
    MOST_LIKED = "MOST_LIKED"


ORDERS = {
    PostOrder.NEWEST: (desc(Post.created_at), desc(Post.id)),
    PostOrder.OLDEST: (asc(Post.created_at), asc(Post.id)),
    PostOrder.TITLE: (asc(Post.folded_title), asc(Post.id)),
    PostOrder.MOST_LIKED: (desc(Post.like_count), desc(Post.id)),
}


SEARCH_COST = 20
"""Cost points of a text search, which reads every row."""


@dataclass
class PostFilter:
    """Conditions that posts must fulfil, all of them. A null status matches every status."""

    status: PostStatus | None = PostStatus.PUBLISHED
    q: str | None = field(default=None, metadata={"points": SEARCH_COST})
    author_id: UUID | None = None
    category_id: UUID | None = None
    tag: str | None = None
    deleted: bool | None = None


def posts(
    viewer: Viewer | None, filter: PostFilter | None = None, order_by: PostOrder = PostOrder.NEWEST
) -> Select[Post]:
    """The posts that match the filter."""
    return select(Post).where(*filter_conditions(viewer, filter or PostFilter())).order_by(*ORDERS[order_by])


def post(viewer: Viewer | None, id: UUID | None = None, slug: str | None = None) -> Select[Post]:
    """The post with an id or, without one, with a slug."""
    if id is None and slug is None:
        return select(Post).where(false())
    return select(Post).where(Post.id == id if id is not None else Post.slug == slug)


def by_author(
    viewer: Viewer | None, author: type[User], filter: PostFilter | None = None, order_by: PostOrder = PostOrder.NEWEST
) -> Select[Post]:
    """The user's posts."""
    return posts(viewer, filter, order_by).where(Post.author_id == author.id)


def by_category(
    viewer: Viewer | None,
    category: type[Category],
    filter: PostFilter | None = None,
    order_by: PostOrder = PostOrder.NEWEST,
) -> Select[Post]:
    """The category's posts."""
    return posts(viewer, filter, order_by).where(Post.category_id == category.id)


def by_tag(
    viewer: Viewer | None, tag: type[Tag], filter: PostFilter | None = None, order_by: PostOrder = PostOrder.NEWEST
) -> Select[Post]:
    """The posts with a tag."""
    rows = posts(viewer, filter, order_by)
    return rows.join(PostTag, PostTag.post_id == Post.id).where(PostTag.tag_id == tag.id)


def has_liked(viewer: Viewer | None, post: type[Post]) -> ColumnElement[bool]:
    """True if the viewer likes the post; false for anonymous viewers."""
    if viewer is None:
        return false()
    return exists().where(Like.post_id == post.id, Like.user_id == viewer.id)


def filter_conditions(viewer: Viewer | None, filter: PostFilter) -> list[ColumnElement[bool]]:
    conditions = [deleted_condition(viewer, bool(filter.deleted))]
    if filter.status is not None:
        conditions.append(Post.status == filter.status)
    if filter.author_id is not None:
        conditions.append(Post.author_id == filter.author_id)
    if filter.category_id is not None:
        conditions.append(Post.category_id == filter.category_id)
    if filter.tag is not None:
        tagged = select(PostTag.post_id).join(Tag, Tag.id == PostTag.tag_id).where(Tag.slug == filter.tag)
        conditions.append(Post.id.in_(tagged))
    if filter.q is not None:
        pattern = type_coerce(filter.q, LikePattern)
        conditions.append(Post.folded_title.like(pattern, escape="\\") | Post.folded_content.like(pattern, escape="\\"))
    return conditions


def deleted_condition(viewer: Viewer | None, deleted: bool) -> ColumnElement[bool]:
    if not deleted:
        return Post.deleted_at.is_(None)
    if viewer is None or not viewer.is_admin:
        raise Forbidden("Only an admin may list deleted posts")
    return Post.deleted_at.is_not(None)
