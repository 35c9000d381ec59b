from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Index, exists, or_, true
from sqlmodel import Field

from models.base import Entity, Row, UTCDateTime, utcnow
from models.posts import Post
from models.viewer import Viewer


class Upload(Entity, table=True):
    __tablename__ = "uploads"

    name: str = Field(unique=True)
    """The generated name in storage and at `/uploads/`."""
    filename: str
    """The sender's filename, for display only."""
    content_type: str
    """The media type, detected from the content."""
    size: int
    """In bytes."""
    sha256: str
    """SHA-256 of the stored file, in hexadecimal."""
    width: int | None = None
    """The displayed width of an image in pixels; null if no thumbnails can be made of it."""
    owner_id: UUID = Field(foreign_key="users.id")
    created_at: datetime = Field(default_factory=utcnow, sa_type=UTCDateTime, index=True)
    unattached_since: datetime = Field(default_factory=utcnow, sa_type=UTCDateTime, index=True)
    """The time since which no post has it. Unattached uploads are deleted after a day."""

    @classmethod
    def visible_to(cls, viewer: Viewer | None) -> ColumnElement[bool]:
        """An upload is visible to its owner, to admins and to viewers of a post that it is attached to."""
        if viewer is not None and viewer.is_admin:
            return true()
        attached = (
            exists()
            .where(PostUpload.upload_id == cls.id, Post.id == PostUpload.post_id, Post.visible_to(viewer))
            .correlate(cls)
        )
        if viewer is None:
            return attached
        return or_(cls.owner_id == viewer.id, attached)


class PostUpload(Row, table=True):
    __tablename__ = "post_uploads"

    post_id: UUID = Field(primary_key=True, foreign_key="posts.id")
    upload_id: UUID = Field(primary_key=True, foreign_key="uploads.id", index=True)
    position: int = 0
    """Its position among the post's uploads."""


Index("uploads_of_owner", Upload.owner_id, Upload.created_at, Upload.id)
