"""What REST answers look like, for the OpenAPI document. Answers are the engine's text, not made of these."""

from datetime import datetime
from typing import Any, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from models import PostStatus, Role

Entity = TypeVar("Entity")


class Shape(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")


class Data(Shape, Generic[Entity]):
    data: Entity


class Author(Shape):
    id: UUID
    name: str
    image: str | None


class Label(Shape):
    id: UUID
    name: str
    slug: str


class User(Shape):
    id: UUID
    name: str
    email: str | None
    image: str | None
    role: Role
    created_at: datetime


class PostItem(Shape):
    id: UUID
    title: str
    slug: str
    excerpt: str | None
    status: PostStatus
    published_at: datetime | None
    author: Author
    comment_count: int
    like_count: int


class Upload(Shape):
    id: UUID
    url: str
    filename: str
    content_type: str
    size: int
    sha256: str
    created_at: datetime


class Uploaded(Shape):
    """A file that was kept."""

    success: Literal[True]
    id: UUID
    url: str
    filename: str
    size: int = Field(description="In bytes.")
    type: str = Field(description="What its bytes say that it is.")


class UploadedFile(Shape):
    """One of several that was kept."""

    id: UUID
    url: str
    filename: str
    size: int
    type: str


class RefusedFile(Shape):
    """One of several that was not kept, and why."""

    filename: str
    error: str
    code: str


class UploadedFiles(Shape):
    files: list[UploadedFile | RefusedFile]


class Post(PostItem):
    content: str
    created_at: datetime
    updated_at: datetime
    version: int
    category: Label | None
    tags: list[Label]
    viewer_has_liked: bool
    uploads: list[Upload]


class Pagination(Shape):
    page: int
    limit: int
    total: int
    pages: int


class PostPage(Shape):
    data: list[PostItem]
    pagination: Pagination


class Session(Shape):
    access_token: str
    refresh_token: str
    expires_in: int = Field(description="Seconds that the access token lives.")
    user: User


class Health(Shape):
    status: Literal["healthy", "degraded", "unhealthy"]
    timestamp: datetime
    version: str
    checks: dict[str, Literal["ok", "error"]]
    uptime: float = Field(description="Seconds since the server started.")


class Error(Shape):
    """Why a request was refused; `code` is for programs, `error` for people."""

    error: str
    code: str
    details: Any = Field(default=None, description="For VALIDATION_ERROR: the messages for each field.")
    request_id: str


class Receipt(Shape):
    received: Literal[True]
