"""Types over entities, enums and payloads."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import strawberry

import models
import resolvers
from schema.cache_control import Cache
from schema.descriptions import describe_enum
from schema.fields import TYPENAME_KEY, Connection, entity_type, field, object_type

PostStatus = describe_enum(
    models.PostStatus,
    "Status of a post.",
    DRAFT="Visible to its author and admins.",
    PUBLISHED="Visible to everyone.",
    ARCHIVED="No longer public; visible to its author and admins.",
)
PostOrder = describe_enum(
    resolvers.posts.PostOrder,
    NEWEST="By creation time, newest first.",
    OLDEST="By creation time, oldest first.",
    TITLE="By title, ignoring case.",
    MOST_LIKED="By number of likes, most liked first.",
)
OrderStatus = describe_enum(
    models.OrderStatus,
    "Status of an order.",
    PENDING="Not paid yet.",
    PAID="Paid.",
    EXPIRED="The checkout ended without a payment.",
    REFUNDED="The whole amount was refunded.",
)
Role = describe_enum(models.Role, "Role of an account.", USER="A regular user.", ADMIN="An administrator.")


@strawberry.interface(description="An object with an id.")
class Node:
    id: UUID = field()

    @classmethod
    def resolve_type(cls, value: Any, info: Any, abstract_type: Any) -> str:
        return value[TYPENAME_KEY]


Node.__strawberry_definition__.fields[0].description = "UUID of the object, unique across all types."


@entity_type(models.User)
class User(Node):
    """A user account."""

    name: str
    """Display name."""
    image: str | None
    """URL of the profile picture."""
    role: Role
    """Role of the account."""
    created_at: datetime
    """Creation time."""
    email: str | None = field(resolvers.accounts.email)
    posts: Connection[Post] = field(resolvers.posts.by_author)


@entity_type(models.Category, cache=Cache(max_age=60))
class Category(Node):
    """A category of posts."""

    name: str
    """Name of the category."""
    slug: str
    """Name for URLs."""
    posts: Connection[Post] = field(resolvers.posts.by_category)


@entity_type(models.Tag)
class Tag(Node):
    """A tag of posts."""

    name: str
    """Name of the tag, spelled as in its first use."""
    slug: str
    """Name for URLs."""
    posts: Connection[Post] = field(resolvers.posts.by_tag)


@entity_type(models.Comment)
class Comment(Node):
    """A comment on a post."""

    content: str
    """Text of the comment."""
    created_at: datetime
    """Creation time."""
    author: User
    """Author of the comment."""
    post: Post
    """The post that was commented on."""


@entity_type(models.Upload)
class Upload(Node):
    """A file uploaded to `POST /api/upload`."""

    url: str = field(resolvers.uploads.url)
    filename: str
    """Original filename, for display only."""
    content_type: str
    """Media type, detected from the content, such as `image/png`."""
    size: int
    """Size in bytes."""
    sha256: str
    """SHA-256 of the content, in hexadecimal."""
    created_at: datetime
    """Creation time."""


@entity_type(models.Post)
class Post(Node):
    """A blog post."""

    title: str
    """Title of the post."""
    slug: str
    """Unique name for URLs. Created from the first title; it does not change with the title."""
    content: str
    """Text of the post."""
    excerpt: str | None
    """Short summary."""
    status: PostStatus
    """Status of the post."""
    published_at: datetime | None
    """Time of the first publication."""
    created_at: datetime
    """Creation time."""
    updated_at: datetime
    """Time of the last edit."""
    version: int
    """Version number. Increases with each edit, not with likes and comments."""
    author: User
    """Author of the post."""
    category: Category | None
    """Category of the post."""
    tags: list[Tag] = field(assumed_size=5)
    """Tags of the post, sorted by name."""
    uploads: list[Upload] = field(resolvers.uploads.attached_to, assumed_size=2)
    comments: Connection[Comment] = field(resolvers.comments.for_post)
    comment_count: int
    """Number of comments."""
    like_count: int
    """Number of likes."""
    viewer_has_liked: bool = field(resolvers.posts.has_liked, points=1)


@entity_type(models.Order)
class Order(Node):
    """An order."""

    status: OrderStatus
    """Status of the order."""
    amount_total: int | None
    """Total amount in the currency's smallest unit."""
    currency: str | None
    """ISO 4217 currency code, in lower case."""
    price_id: str
    """Stripe's id of the price."""
    quantity: int
    """Number of units."""
    created_at: datetime
    """Creation time."""
    paid_at: datetime | None
    """Time of the payment."""


@object_type
class AuthPayload:
    """Tokens of a login. They are also set as cookies."""

    access_token: str
    """Access token, for the header `Authorization: Bearer`."""
    refresh_token: str
    """Refresh token, which can be exchanged once for new tokens."""
    expires_in: int
    """Lifetime of the access token in seconds."""
    user: User
    """The user who logged in."""


CheckoutMode = describe_enum(
    resolvers.payments.CheckoutMode,
    PAYMENT="One-time payment.",
    SUBSCRIPTION="Recurring payment.",
)


@object_type
class Checkout:
    """A checkout session for an order."""

    order: Order
    """The order, which is PENDING until Stripe confirms the payment."""
    url: str
    """URL of Stripe's payment page, to which the buyer is redirected."""


WebhookStatus = describe_enum(
    models.WebhookStatus,
    "Status of a webhook event.",
    RECEIVED="Being processed.",
    PROCESSED="Processed.",
    IGNORED="Not relevant to this service.",
    FAILED="Processing failed. The event can be replayed.",
)


@entity_type(models.WebhookEvent)
class WebhookEvent:
    """A webhook event from Stripe."""

    id: UUID
    """Stripe's id, which is not a UUID."""
    type: str
    """Type, such as `invoice.paid`."""
    status: WebhookStatus
    """Status of the event."""
    error: str | None
    """Reason of the failure."""
    attempts: int
    """Number of attempts."""
    created_at: datetime
    """Time of the first delivery."""
    processed_at: datetime | None
    """Time at which it was processed or ignored."""
