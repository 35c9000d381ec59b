"""Entities with their visibility rules, the error tree, the database and its migrations."""

from models.api_keys import ApiKey
from models.base import Entity, UTCDateTime, new_id, utcnow
from models.comments import Comment
from models.database import Database
from models.documents import Document, DocumentId, DocumentUse
from models.events import Event
from models.idempotency import IdempotencyKey
from models.identities import Identity
from models.payments import Order, OrderStatus, Subscription, WebhookEvent, WebhookStatus
from models.posts import Like, Post, PostStatus
from models.refresh_tokens import RefreshToken
from models.taxonomy import Category, PostTag, Tag
from models.uploads import PostUpload, Upload
from models.users import User
from models.viewer import Role, Viewer

__all__ = [
    "ApiKey",
    "Category",
    "Comment",
    "Database",
    "Document",
    "DocumentId",
    "DocumentUse",
    "Entity",
    "Event",
    "IdempotencyKey",
    "Identity",
    "Like",
    "Order",
    "OrderStatus",
    "Post",
    "PostStatus",
    "PostTag",
    "PostUpload",
    "RefreshToken",
    "Role",
    "Subscription",
    "Tag",
    "UTCDateTime",
    "Upload",
    "User",
    "Viewer",
    "WebhookEvent",
    "WebhookStatus",
    "new_id",
    "utcnow",
]
