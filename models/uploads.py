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
    """What it is called in storage and at `/uploads/`: ours, never its sender's."""
    filename: str
    """What its sender called it: shown, and never a path."""
    content_type: str
    """What its bytes say it is."""
    size: int
    """In bytes."""
    sha256: str
    """Of what is stored, in hexadecimal."""
    width: int | None = None
    """Of a still picture as it is shown, in pixels; null for what cannot be made smaller."""
    owner_id: UUID = Field(foreign_key="users.id")
    created_at: datetime = Field(default_factory=utcnow, sa_type=UTCDateTime, index=True)
    unattached_since: datetime = Field(default_factory=utcnow, sa_type=UTCDateTime, index=True)
    """When a post last let go of it, or it was made: what no post points at is removed a day later."""

    @classmethod
    def visible_to(cls, viewer: Viewer | None) -> ColumnElement[bool]:
        """An upload is its owner's and the admins', and that of whoever may see a post that it is attached to."""
        if viewer is not None and viewer.is_admin:
            return true()
        shown = (
            exists()
            .where(PostUpload.upload_id == cls.id, Post.id == PostUpload.post_id, Post.visible_to(viewer))
            .correlate(cls)
        )
        if viewer is None:
            return shown
        return or_(cls.owner_id == viewer.id, shown)


class PostUpload(Row, table=True):
    __tablename__ = "post_uploads"

    post_id: UUID = Field(primary_key=True, foreign_key="posts.id")
    upload_id: UUID = Field(primary_key=True, foreign_key="uploads.id", index=True)
    position: int = 0
    """Its place among the post's uploads, as its author gave them."""


Index("uploads_of_owner", Upload.owner_id, Upload.created_at, Upload.id)
