"""The parts of Stripe's events that this service uses, in any version of Stripe's API."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AliasChoices, AliasPath, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from resolvers.inputs import NIL_UUID, Storable, parse_id_or_nil

UNPAID = "unpaid"
TERMINAL_STATUSES = "canceled", "incomplete_expired"
"""Statuses of a subscription that never change again."""


def get_id(value: Any) -> Any:
    """Return the id of a reference, which is an id or, if expanded, an object."""
    return value.get("id") if isinstance(value, dict) else value


Name = Annotated[str, Field(min_length=1, max_length=255), Storable]
Reference = Annotated[Name | None, BeforeValidator(get_id)]
Amount = Annotated[int, Field(ge=0, lt=2**31)]
Metadata = Annotated[dict[str, Any], BeforeValidator(lambda value: value or {})]


class StripeObject(BaseModel):
    """An object of Stripe's API. Other fields are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Event(StripeObject):
    """A webhook event, with the fields that snapshot and thin events have in common."""

    id: Name
    type: Name
    created: AwareDatetime
    data: dict[str, Any] = Field(default_factory=dict)


class OrderObject(StripeObject):
    """An object with the id of its order in the metadata."""

    metadata: Metadata = Field(default_factory=dict)

    @property
    def order_id(self) -> UUID:
        id = parse_id_or_nil(self.metadata.get("orderId"))
        return id if isinstance(id, UUID) else NIL_UUID

    @property
    def lock_keys(self) -> set[str | None]:
        """Return the ids that the event is about. Events with a common id are processed one after another."""
        return {str(self.order_id)} if self.order_id != NIL_UUID else set()


class CheckoutSession(OrderObject):
    id: Name
    payment_status: str | None = None
    payment_intent: Reference = None
    subscription: Reference = None
    customer: Reference = None
    amount_total: Amount | None = None
    currency: Name | None = None

    @property
    def is_paid(self) -> bool:
        """True if the amount that is due now is paid; a free trial has none."""
        return self.payment_status not in (None, UNPAID)

    @property
    def lock_keys(self) -> set[str | None]:
        return super().lock_keys | {self.id, self.payment_intent, self.subscription, self.customer}


class Charge(OrderObject):
    payment_intent: Reference = None
    customer: Reference = None
    amount: Amount = 0
    amount_refunded: Amount = 0
    refunded: bool = False

    @property
    def is_refunded(self) -> bool:
        """True if the whole amount is refunded."""
        return self.refunded or 0 < self.amount <= self.amount_refunded

    @property
    def lock_keys(self) -> set[str | None]:
        return super().lock_keys | {self.payment_intent, self.customer}


class Period(StripeObject):
    """The end of a paid period. Since API version 2025-03-31 it is a field of the items."""

    end: datetime | None = Field(None, validation_alias=AliasChoices("current_period_end", AliasPath("period", "end")))


class PeriodList(StripeObject):
    data: list[Period] = Field(default_factory=list)

    @property
    def end(self) -> datetime | None:
        return max((period.end for period in self.data if period.end), default=None)


class Subscription(OrderObject):
    id: Name
    customer: Reference = None
    status: Name
    current_period_end: datetime | None = None
    items: PeriodList = Field(default_factory=PeriodList)

    @property
    def period_end(self) -> datetime | None:
        return self.current_period_end or self.items.end

    @property
    def lock_keys(self) -> set[str | None]:
        return super().lock_keys | {self.id, self.customer}


class Invoice(OrderObject):
    """A paid invoice. Since API version 2025-03-31 the subscription is under `parent`."""

    metadata: Metadata = Field(
        default_factory=dict,
        validation_alias=AliasChoices(
            AliasPath("parent", "subscription_details", "metadata"), AliasPath("subscription_details", "metadata")
        ),
    )
    subscription: Reference = Field(
        None, validation_alias=AliasChoices(AliasPath("parent", "subscription_details", "subscription"), "subscription")
    )
    customer: Reference = None
    amount_paid: Amount | None = None
    lines: PeriodList = Field(default_factory=PeriodList)

    @property
    def lock_keys(self) -> set[str | None]:
        return super().lock_keys | {self.subscription, self.customer}
