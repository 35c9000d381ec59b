"""What can be asked about posts. Each answer is a SELECT; the models say who may see which rows."""

from dataclasses import dataclass, field
from enum import Enum
from uuid import UUID

from sqlalchemy import ColumnElement, Select, asc, desc, exists, false, select, type_coerce

from models import Category, Like, Post, PostStatus, PostTag, Tag, User, Viewer
from models.errors import Forbidden
from models.search_text import LikePattern


class PostOrder(Enum):
    """Newest and oldest go by when a post was written; titles are compared without their case."""

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
"""Points for text that is looked for in every row; no index has it."""


@dataclass
class PostFilter:
    """Every condition given must hold. A null status means every status; `deleted` is for admins."""

    status: PostStatus | None = PostStatus.PUBLISHED
    q: str | None = field(default=None, metadata={"points": SEARCH_COST})
    author_id: UUID | None = None
    category_id: UUID | None = None
    tag: str | None = None
    deleted: bool | None = None


def posts(
    viewer: Viewer | None, filter: PostFilter | None = None, order_by: PostOrder = PostOrder.NEWEST
) -> Select[Post]:
    """The posts that match a filter, in the order asked for."""
    return select(Post).where(*filter_conditions(viewer, filter or PostFilter())).order_by(*ORDERS[order_by])


def post(viewer: Viewer | None, id: UUID | None = None, slug: str | None = None) -> Select[Post]:
    """One post, by its id or else by its slug."""
    if id is None and slug is None:
        return select(Post).where(false())
    return select(Post).where(Post.id == id if id is not None else Post.slug == slug)


def by_author(
    viewer: Viewer | None, author: type[User], filter: PostFilter | None = None, order_by: PostOrder = PostOrder.NEWEST
) -> Select[Post]:
    """What a user has written."""
    return posts(viewer, filter, order_by).where(Post.author_id == author.id)


def by_category(
    viewer: Viewer | None,
    category: type[Category],
    filter: PostFilter | None = None,
    order_by: PostOrder = PostOrder.NEWEST,
) -> Select[Post]:
    """The posts of a category."""
    return posts(viewer, filter, order_by).where(Post.category_id == category.id)


def by_tag(
    viewer: Viewer | None, tag: type[Tag], filter: PostFilter | None = None, order_by: PostOrder = PostOrder.NEWEST
) -> Select[Post]:
    """The posts with a tag."""
    rows = posts(viewer, filter, order_by)
    return rows.join(PostTag, PostTag.post_id == Post.id).where(PostTag.tag_id == tag.id)


def has_liked(viewer: Viewer | None, post: type[Post]) -> ColumnElement[bool]:
    """Whether the viewer likes a post; strangers like nothing."""
    if viewer is None:
        return false()
    return exists().where(Like.post_id == post.id, Like.user_id == viewer.id)


def filter_conditions(viewer: Viewer | None, filter: PostFilter) -> list[ColumnElement[bool]]:
    found = [deleted_condition(viewer, bool(filter.deleted))]
    if filter.status is not None:
        found.append(Post.status == filter.status)
    if filter.author_id is not None:
        found.append(Post.author_id == filter.author_id)
    if filter.category_id is not None:
        found.append(Post.category_id == filter.category_id)
    if filter.tag is not None:
        tagged_so = select(PostTag.post_id).join(Tag, Tag.id == PostTag.tag_id).where(Tag.slug == filter.tag)
        found.append(Post.id.in_(tagged_so))
    if filter.q is not None:
        pattern = type_coerce(filter.q, LikePattern)
        found.append(Post.folded_title.like(pattern, escape="\\") | Post.folded_content.like(pattern, escape="\\"))
    return found


def deleted_condition(viewer: Viewer | None, deleted: bool) -> ColumnElement[bool]:
    if not deleted:
        return Post.deleted_at.is_(None)
    if viewer is None or not viewer.is_admin:
        raise Forbidden("Only an admin may list deleted posts")
    return Post.deleted_at.is_not(None)
