"""What Stripe's events say, as far as it matters here, in whichever version of its API they are written."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AliasChoices, AliasPath, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from resolvers.inputs import NO_SUCH_ID, Storable, parse_id_or_nil

UNPAID = "unpaid"
TERMINAL_STATUSES = "canceled", "incomplete_expired"
"""How subscriptions end: no other status comes after these."""


def id_of(value: Any) -> Any:
    """A reference is an id, or the thing itself where Stripe was asked to expand it."""
    return value.get("id") if isinstance(value, dict) else value


Name = Annotated[str, Field(min_length=1, max_length=255), Storable]
Reference = Annotated[Name | None, BeforeValidator(id_of)]
Amount = Annotated[int, Field(ge=0, lt=2**31)]
Metadata = Annotated[dict[str, Any], BeforeValidator(lambda value: value or {})]


class StripeObject(BaseModel):
    """Something of Stripe's; what is not named here is of no concern."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Event(StripeObject):
    """Something that happened at Stripe. Both kinds of its events have this much."""

    id: Name
    type: Name
    created: AwareDatetime
    data: dict[str, Any] = Field(default_factory=dict)


class OrderObject(StripeObject):
    """Something that our metadata stands on: the id of the order that it is for."""

    metadata: Metadata = Field(default_factory=dict)

    @property
    def order_id(self) -> UUID:
        given = parse_id_or_nil(self.metadata.get("orderId"))
        return given if isinstance(given, UUID) else NO_SUCH_ID

    @property
    def lock_keys(self) -> set[str | None]:
        """What it is about: events about the same take turns."""
        return {str(self.order_id)} if self.order_id != NO_SUCH_ID else set()


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
        """Whether what is due now has been paid; of a free trial that is nothing."""
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
        """All of it, and not just a part."""
        return self.refunded or 0 < self.amount <= self.amount_refunded

    @property
    def lock_keys(self) -> set[str | None]:
        return super().lock_keys | {self.payment_intent, self.customer}


class Period(StripeObject):
    """When what was paid for ends; since 2025 a subscription's items say so, each for itself."""

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
    """Since 2025 it says what it is for under `parent`; before, for itself."""

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
