"""What REST answers look like, for the OpenAPI document. Answers are the engine's text, not made of these."""

from datetime import datetime
from typing import Any, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from models import PostStatus, Role

Entity = TypeVar("Entity")


class Shape(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", use_attribute_docstrings=True)


class Data(Shape, Generic[Entity]):
    """One thing."""

    model_config = ConfigDict(json_schema_extra={"description": "One thing."})  # which `Data[Post]` does not inherit

    data: Entity
    """The thing itself."""


class Author(Shape):
    id: UUID
    name: str
    image: str | None


class Label(Shape):
    """A category, or a tag."""

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


class UploadedFile(Shape):
    """One of several that was kept."""

    id: UUID
    """What posts name it by, among their `uploadIds`."""
    url: str
    """Where it is served, to anybody who knows it."""
    filename: str
    """What its sender called it."""
    size: int
    """In bytes."""
    type: str
    """What its bytes say that it is."""


class Uploaded(UploadedFile):
    """A file that was kept."""

    success: Literal[True]
    """For clients that look for it."""


class RefusedFile(Shape):
    """One of several that was not kept, and why."""

    filename: str
    """What its sender called it."""
    error: str
    """Why, for people."""
    code: str
    """Why, for programs."""


class UploadedFiles(Shape):
    """What became of several files."""

    files: list[UploadedFile | RefusedFile]
    """Each of them, in the order in which they were sent."""


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
    """Which page this is, of how many."""


class Session(Shape):
    access_token: str
    refresh_token: str
    expires_in: int
    user: User


class Health(Shape):
    """How a server is."""

    status: Literal["healthy", "degraded", "unhealthy"]
    """`degraded` without Redis, where one is configured; `unhealthy` without the database."""
    timestamp: datetime
    """When this was found."""
    version: str
    """The server's."""
    checks: dict[str, Literal["ok", "error"]]
    """What the server depends on, by name."""
    uptime: float
    """Seconds since the server started."""


class Error(Shape):
    """Why a request was refused."""

    error: str
    """Why, for people."""
    code: str
    """Why, for programs."""
    details: Any = None
    """For VALIDATION_ERROR: the messages for each field."""
    request_id: str
    """The request's id, as in `X-Request-ID`."""


class Receipt(Shape):
    """That an event has been taken in."""

    received: Literal[True]
    """Always."""
