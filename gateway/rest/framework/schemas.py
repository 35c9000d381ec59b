"""Response schemas for the OpenAPI document. Responses are the read engine's JSON text, not instances of these.

Fields without a description get that of the GraphQL field with the same name (`openapi.add_graphql_descriptions`).
"""

from datetime import datetime
from typing import Any, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from models import PostStatus, Role

Item = TypeVar("Item")


class Schema(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", use_attribute_docstrings=True)


class Data(Schema, Generic[Item]):
    """A single resource."""

    model_config = ConfigDict(json_schema_extra={"description": "A single resource."})
    """`Data[Post]` does not inherit the docstring."""

    data: Item
    """The resource."""


class Author(Schema):
    id: UUID
    name: str
    image: str | None


class LabelRef(Schema):
    """A category or a tag."""

    id: UUID
    name: str
    slug: str


class User(Schema):
    id: UUID
    name: str
    email: str | None
    image: str | None
    role: Role
    created_at: datetime


class PostItem(Schema):
    id: UUID
    title: str
    slug: str
    excerpt: str | None
    status: PostStatus
    published_at: datetime | None
    author: Author
    comment_count: int
    like_count: int


class Upload(Schema):
    id: UUID
    url: str
    filename: str
    content_type: str
    size: int
    sha256: str
    created_at: datetime


class Post(PostItem):
    content: str
    created_at: datetime
    updated_at: datetime
    version: int
    category: LabelRef | None
    tags: list[LabelRef]
    viewer_has_liked: bool
    uploads: list[Upload]


class Pagination(Schema):
    page: int
    limit: int
    total: int
    pages: int


class PostPage(Schema):
    data: list[PostItem]
    pagination: Pagination
    """The position of this page in the list."""


class Session(Schema):
    access_token: str
    refresh_token: str
    expires_in: int
    user: User


class UploadedFile(Schema):
    """A stored file."""

    id: UUID
    """Id of the upload, for the `uploadIds` of a post."""
    url: str
    """Public path of the file."""
    filename: str
    """Filename that the client sent."""
    size: int
    """Size in bytes."""
    type: str
    """Media type, detected from the content."""


class Uploaded(UploadedFile):
    """The stored file of a request with one `file`."""

    success: Literal[True]
    """Always `true`; some upload clients require it."""


class FailedUpload(Schema):
    """A file that was rejected, of several."""

    filename: str
    """Filename that the client sent."""
    error: str
    """Error message."""
    code: str
    """Error code."""


class UploadedFiles(Schema):
    """The result for each of several files."""

    files: list[UploadedFile | FailedUpload]
    """One result for each file, in the order of the request."""


class Health(Schema):
    """Health of the server."""

    status: Literal["healthy", "degraded", "unhealthy"]
    """`degraded` if a configured Redis does not respond; `unhealthy` if the database does not."""
    timestamp: datetime
    """Time of the checks."""
    version: str
    """Version of the server."""
    checks: dict[str, Literal["ok", "error"]]
    """Result of each check, by the name of the dependency."""
    uptime: float
    """Seconds since the server started."""


class Error(Schema):
    """An error."""

    error: str
    """Error message."""
    code: str
    """Error code."""
    details: Any = None
    """For VALIDATION_ERROR: the messages for each invalid field."""
    request_id: str
    """Id of the request, as in the `X-Request-ID` header."""


class WebhookReceipt(Schema):
    """Confirmation that a webhook was stored."""

    received: Literal[True]
    """Always `true`."""
