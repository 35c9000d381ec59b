from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Index, select
from sqlmodel import Field, Relationship

from models.base import LAZY_RAISE, Entity, UTCDateTime, utcnow
from models.posts import Post
from models.users import User
from models.viewer import Viewer


class Comment(Entity, table=True):
    __tablename__ = "comments"

    content: str
    created_at: datetime = Field(default_factory=utcnow, sa_type=UTCDateTime)
    post_id: UUID = Field(foreign_key="posts.id")
    author_id: UUID = Field(foreign_key="users.id", index=True)

    post: Post = Relationship(sa_relationship_kwargs=LAZY_RAISE)
    author: User = Relationship(sa_relationship_kwargs=LAZY_RAISE)

    @classmethod
    def visible_to(cls, viewer: Viewer | None) -> ColumnElement[bool]:
        """A comment is visible if its post is. The engine adds the rule of `Post` to the subquery."""
        return select(Post.id).where(Post.id == cls.post_id).correlate(cls).exists()


Index("comments_of_post", Comment.post_id, Comment.created_at, Comment.id)
