"""The things one can read."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import strawberry

import models
import resolvers
from schema.cache_control import Cache
from schema.descriptions import described_enum
from schema.fields import TYPENAME_KEY, Connection, entity_type, field, object_type

PostStatus = described_enum(
    models.PostStatus,
    "Where a post stands.",
    DRAFT="Seen by its author and admins.",
    PUBLISHED="Seen by everyone.",
    ARCHIVED="Taken from public sight; seen by its author and admins.",
)
PostOrder = described_enum(
    resolvers.posts.PostOrder,
    NEWEST="The latest written first.",
    OLDEST="The earliest written first.",
    TITLE="By title, whatever its case.",
    MOST_LIKED="The most liked first.",
)
OrderStatus = described_enum(
    models.OrderStatus,
    "How far an order is.",
    PENDING="It is not paid yet.",
    PAID="It is paid.",
    EXPIRED="Its checkout ended unpaid.",
    REFUNDED="All of it was paid back.",
)
Role = described_enum(models.Role, "What an account may do.", USER="What everyone may.", ADMIN="Everything.")


@strawberry.interface(description="Anything with an id of its own.")
class Node:
    id: UUID = field()

    @classmethod
    def resolve_type(cls, answer: Any, info: Any, abstract_type: Any) -> str:
        return answer[TYPENAME_KEY]


Node.__strawberry_definition__.fields[0].description = "A UUID, unique across all types."


@entity_type(models.User)
class User(Node):
    """An account."""

    name: str
    """What they are called."""
    image: str | None
    """The address of their picture."""
    role: Role
    """What they may do."""
    created_at: datetime
    """When the account was made."""
    email: str | None = field(resolvers.accounts.email)
    posts: Connection[Post] = field(resolvers.posts.by_author)


@entity_type(models.Category, cache=Cache(max_age=60))
class Category(Node):
    """What a post is filed under."""

    name: str
    """What it is called."""
    slug: str
    """Its name as it stands in links."""
    posts: Connection[Post] = field(resolvers.posts.by_category)


@entity_type(models.Tag)
class Tag(Node):
    """A word that posts share."""

    name: str
    """As whoever used it first spelled it."""
    slug: str
    """Its name as it stands in links."""
    posts: Connection[Post] = field(resolvers.posts.by_tag)


@entity_type(models.Comment)
class Comment(Node):
    """Something said about a post."""

    content: str
    """1 to 2,000 characters."""
    created_at: datetime
    """When it was said."""
    author: User
    """Who said it."""
    post: Post
    """What it is about."""


@entity_type(models.Upload)
class Upload(Node):
    """A file that somebody sent to `POST /api/upload`."""

    url: str = field(resolvers.uploads.url)
    filename: str
    """What its sender called it: to be shown, and never a path."""
    content_type: str
    """What its bytes say it is, such as `image/png`."""
    size: int
    """In bytes."""
    sha256: str
    """Of its bytes, in hexadecimal."""
    created_at: datetime
    """When it was sent."""


@entity_type(models.Post)
class Post(Node):
    """Something written."""

    title: str
    """1 to 100 characters."""
    slug: str
    """Made once from the title, and unique: it does not follow a later title, so links live."""
    content: str
    """10 to 100,000 characters."""
    excerpt: str | None
    """At most 300 characters."""
    status: PostStatus
    """Where it stands."""
    published_at: datetime | None
    """When it was first published."""
    created_at: datetime
    """When it was written."""
    updated_at: datetime
    """When its author last changed it."""
    version: int
    """Counts the author's edits, not strangers' likes and comments."""
    author: User
    """Who wrote it."""
    category: Category | None
    """What it is filed under."""
    tags: list[Tag] = field(assumed_size=5)
    """By name."""
    uploads: list[Upload] = field(resolvers.uploads.attached_to, assumed_size=2)
    comments: Connection[Comment] = field(resolvers.comments.for_post)
    comment_count: int
    """How many comments there are."""
    like_count: int
    """How many like it."""
    viewer_has_liked: bool = field(resolvers.posts.has_liked, points=1)


@entity_type(models.Order)
class Order(Node):
    """Something bought, or about to be."""

    status: OrderStatus
    """How far it is."""
    amount_total: int | None
    """What it costs, in the currency's smallest unit."""
    currency: str | None
    """The currency's three letters, in lower case."""
    price_id: str
    """Stripe's id of the price."""
    quantity: int
    """How many."""
    created_at: datetime
    """When it was ordered."""
    paid_at: datetime | None
    """When it was paid."""


@object_type
class AuthPayload:
    """What signing in gives; the tokens are set as cookies too."""

    access_token: str
    """To be sent as `Authorization: Bearer`."""
    refresh_token: str
    """To be exchanged, once, for new tokens."""
    expires_in: int
    """The access token's life in seconds."""
    user: User
    """Who has signed in."""


CheckoutMode = described_enum(
    resolvers.payments.CheckoutMode, PAYMENT="Once.", SUBSCRIPTION="Again and again, until it is cancelled."
)


@object_type
class Checkout:
    """An order that is to be paid."""

    order: Order
    """What was ordered: PENDING, until Stripe says otherwise."""
    url: str
    """Where to send the buyer: a page of Stripe's."""


WebhookStatus = described_enum(
    models.WebhookStatus,
    "What became of a webhook event.",
    RECEIVED="It is being taken in.",
    PROCESSED="It has taken its effect.",
    IGNORED="It is of no concern here.",
    FAILED="It could not take its effect; once that is mended, it can be replayed.",
)


@entity_type(models.WebhookEvent)
class WebhookEvent:
    """Something that Stripe told."""

    id: UUID
    """Stripe's own id, which is no UUID."""
    type: str
    """Such as `invoice.paid`."""
    status: WebhookStatus
    """What became of it."""
    error: str | None
    """Why it failed."""
    attempts: int
    """How often it was tried."""
    created_at: datetime
    """When it first came."""
    processed_at: datetime | None
    """When it took its effect, or was found to be of no concern."""
