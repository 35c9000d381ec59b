from datetime import datetime
from enum import Enum as PythonEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Enum, Index, and_, event, or_, true
from sqlmodel import Field, Relationship

from models.base import BINARY_COLLATION, LAZY_RAISE, Entity, Row, UTCDateTime, utcnow
from models.search_text import casefold_text
from models.taxonomy import Category, PostTag, Tag
from models.users import User
from models.viewer import Viewer


class PostStatus(PythonEnum):
    DRAFT = "DRAFT"
    PUBLISHED = "PUBLISHED"
    ARCHIVED = "ARCHIVED"


class Post(Entity, table=True):
    __tablename__ = "posts"

    title: str
    slug: str = Field(unique=True)
    content: str
    excerpt: str | None = None
    status: PostStatus = Field(default=PostStatus.DRAFT, sa_type=Enum(PostStatus, native_enum=False, length=16))
    author_id: UUID = Field(foreign_key="users.id")
    category_id: UUID | None = Field(default=None, foreign_key="categories.id")
    published_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    """The time of the first publication."""
    deleted_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    created_at: datetime = Field(default_factory=utcnow, sa_type=UTCDateTime)
    updated_at: datetime = Field(default_factory=utcnow, sa_type=UTCDateTime)
    version: int = 1
    """Incremented by each edit, not by likes and comments."""
    comment_count: int = 0
    like_count: int = 0
    folded_title: str = Field(sa_type=BINARY_COLLATION)
    folded_content: str

    author: User = Relationship(sa_relationship_kwargs=LAZY_RAISE)
    category: Category | None = Relationship(sa_relationship_kwargs=LAZY_RAISE)
    tags: list[Tag] = Relationship(
        link_model=PostTag, sa_relationship_kwargs={**LAZY_RAISE, "order_by": [Tag.name, Tag.id]}
    )

    @property
    def is_public(self) -> bool:
        """True if everyone may see the post; `IS_PUBLIC` is the same as an SQL condition."""
        return self.status is PostStatus.PUBLISHED and self.deleted_at is None

    @classmethod
    def visible_to(cls, viewer: Viewer | None) -> ColumnElement[bool]:
        """Published posts are visible to everyone, others to their author; deleted ones only to admins."""
        published = cls.status == PostStatus.PUBLISHED
        if viewer is None:
            return and_(published, cls.deleted_at.is_(None))
        if viewer.is_admin:
            return true()
        return and_(or_(published, cls.author_id == viewer.id), cls.deleted_at.is_(None))


@event.listens_for(Post.title, "set")
def fold_title(post: Post, title: str, *_: Any) -> None:
    """Keep the column that is searched and sorted by in step with the title."""
    post.folded_title = casefold_text(title)


@event.listens_for(Post.content, "set")
def fold_content(post: Post, content: str, *_: Any) -> None:
    post.folded_content = casefold_text(content)


class Like(Row, table=True):
    __tablename__ = "likes"

    post_id: UUID = Field(primary_key=True, foreign_key="posts.id")
    user_id: UUID = Field(primary_key=True, foreign_key="users.id", index=True)
    created_at: datetime = Field(default_factory=utcnow, sa_type=UTCDateTime)


IS_PUBLIC = and_(Post.status == PostStatus.PUBLISHED, Post.deleted_at.is_(None))
"""The condition of the partial indexes below; lists apply it by default."""

for name, columns in {
    "posts_public": (Post.id,),  # SQLite does not use the larger ones below to count rows
    "posts_newest": (Post.created_at, Post.id),
    "posts_most_liked": (Post.like_count, Post.id),
    "posts_by_title": (Post.folded_title, Post.id),
}.items():
    Index(name, *columns, postgresql_where=IS_PUBLIC, sqlite_where=IS_PUBLIC)

Index("posts_by_author", Post.author_id, Post.created_at, Post.id)
Index("posts_by_category", Post.category_id, Post.created_at, Post.id)
