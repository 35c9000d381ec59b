"""Categories and tags. A post has at most one category and any number of tags."""

from uuid import UUID

from sqlmodel import Field

from models.base import BINARY_COLLATION, Entity, Row


class Category(Entity, table=True):
    __tablename__ = "categories"

    name: str = Field(sa_type=BINARY_COLLATION)
    slug: str = Field(unique=True)


class Tag(Entity, table=True):
    """A tag, identified by its slug. Its name is spelled as in its first use."""

    __tablename__ = "tags"

    name: str = Field(sa_type=BINARY_COLLATION)
    slug: str = Field(unique=True)


class PostTag(Row, table=True):
    __tablename__ = "post_tags"

    post_id: UUID = Field(primary_key=True, foreign_key="posts.id")
    tag_id: UUID = Field(primary_key=True, foreign_key="tags.id", index=True)
