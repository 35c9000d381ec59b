from datetime import datetime
from enum import Enum as PythonEnum
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, ColumnElement, Enum, Index, false, true
from sqlmodel import Field

from models.base import Entity, UTCDateTime, utcnow
from models.viewer import Viewer


class OrderStatus(PythonEnum):
    PENDING = "PENDING"
    PAID = "PAID"
    EXPIRED = "EXPIRED"
    REFUNDED = "REFUNDED"


class WebhookStatus(PythonEnum):
    RECEIVED = "RECEIVED"
    PROCESSED = "PROCESSED"
    IGNORED = "IGNORED"
    FAILED = "FAILED"


class Order(Entity, table=True):
    __tablename__ = "orders"

    user_id: UUID = Field(foreign_key="users.id")
    status: OrderStatus = Field(default=OrderStatus.PENDING, sa_type=Enum(OrderStatus, native_enum=False, length=16))
    stripe_session_id: str | None = Field(default=None, unique=True)
    stripe_payment_intent: str | None = Field(default=None, index=True)
    price_id: str
    quantity: int = 1
    amount_total: int | None = None
    """In the currency's smallest unit."""
    currency: str | None = None
    created_at: datetime = Field(default_factory=utcnow, sa_type=UTCDateTime)
    paid_at: datetime | None = Field(default=None, sa_type=UTCDateTime)

    @classmethod
    def visible_to(cls, viewer: Viewer | None) -> ColumnElement[bool]:
        """An order is visible to its buyer and to admins."""
        if viewer is None:
            return false()
        return true() if viewer.is_admin else cls.user_id == viewer.id


class Subscription(Entity, table=True):
    """A recurring payment, as described by the newest event of Stripe."""

    __tablename__ = "subscriptions"

    user_id: UUID = Field(foreign_key="users.id", index=True)
    stripe_subscription_id: str = Field(unique=True)
    stripe_customer_id: str
    status: str
    """Stripe's status: active, past_due, canceled, …"""
    current_period_end: datetime | None = Field(default=None, sa_type=UTCDateTime)
    updated_at: datetime = Field(default_factory=utcnow, sa_type=UTCDateTime)
    """The time at Stripe of the event that last changed the row; older events do not change it."""


class WebhookEvent(Entity, table=True):
    """A verified webhook event. Its row makes sure that the event takes effect once."""

    __tablename__ = "webhook_events"

    id: str = Field(primary_key=True)
    """Stripe's id."""
    type: str
    status: WebhookStatus = Field(
        default=WebhookStatus.RECEIVED, sa_type=Enum(WebhookStatus, native_enum=False, length=16)
    )
    error: str | None = None
    payload: dict[str, Any] = Field(sa_type=JSON)
    attempts: int = 0
    created_at: datetime = Field(default_factory=utcnow, sa_type=UTCDateTime)
    processed_at: datetime | None = Field(default=None, sa_type=UTCDateTime)

    @classmethod
    def visible_to(cls, viewer: Viewer | None) -> ColumnElement[bool]:
        """Webhook events are visible to admins."""
        return true() if viewer is not None and viewer.is_admin else false()


Index("orders_of_user", Order.user_id, Order.created_at, Order.id)
Index("webhook_events_by_status", WebhookEvent.status, WebhookEvent.created_at, WebhookEvent.id)
