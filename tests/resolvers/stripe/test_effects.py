"""What events come to, in whatever order they are delivered."""

import itertools
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
from sqlalchemy import select

from models import Subscription
from tests.support.payments import build_checkout_session, build_event
from tests.support.writing import get_event_types

ORDER = "query($id: ID!) { node(id: $id) { ... on Order { status amountTotal currency paidAt } } }"
PAID_AT = 1_790_000_000
PAID = {"status": "PAID", "amountTotal": 1250, "currency": "eur", "paidAt": "2026-09-21T14:13:20.000000Z"}
UNPAID = {"amountTotal": None, "currency": None, "paidAt": None}
WHOLE = {"object": "charge", "payment_intent": "pi_1", "amount": 1250, "amount_refunded": 1250, "refunded": True}
PART = {**WHOLE, "amount_refunded": 250, "refunded": False}


def paid(order: str, **more: Any) -> dict[str, Any]:
    return build_event("checkout.session.completed", build_checkout_session(order, **more), created=PAID_AT)


async def test_a_checkout_that_is_completed_unpaid_pays_for_nothing_yet(graphql, server, author, order, tell):
    """A bank transfer comes later, and only then is the order paid."""
    id = await order()
    await tell(paid(id, status="unpaid"))
    assert await graphql.one(ORDER, author, id=id) == {"status": "PENDING", **UNPAID}
    assert await get_event_types(server.db) == []
    await tell(build_event("checkout.session.async_payment_succeeded", build_checkout_session(id), created=PAID_AT))
    assert await graphql.one(ORDER, author, id=id) == PAID
    assert await get_event_types(server.db) == ["order.updated"]


async def test_what_costs_nothing_is_paid_once_it_is_completed(graphql, author, order, tell):
    id = await order()
    await tell(paid(id, status="no_payment_required", amount_total=0))
    assert await graphql.one(ORDER, author, id=id) == {**PAID, "amountTotal": 0}


async def test_a_checkout_that_ends_unpaid_expires_its_order(graphql, server, author, order, tell):
    id = await order()
    for _ in range(2):
        await tell(build_event("checkout.session.expired", build_checkout_session(id, status="unpaid")))
    assert await graphql.one(ORDER, author, id=id) == {"status": "EXPIRED", **UNPAID}
    assert await get_event_types(server.db) == ["order.updated"]


async def test_a_part_that_is_paid_back_leaves_an_order_paid(graphql, server, author, order, tell):
    """All of it, though in parts, does not."""
    id = await order()
    await tell(paid(id))
    await tell(build_event("charge.refunded", PART))
    assert await graphql.one(ORDER, author, id=id) == PAID
    await tell(build_event("charge.refunded", {**PART, "amount_refunded": 1250}))
    assert await graphql.one(ORDER, author, id=id) == {**PAID, "status": "REFUNDED"}
    assert await get_event_types(server.db) == ["order.updated"] * 2


async def test_a_refund_that_names_nothing_is_nobody_s(graphql, admin, author, order, tell):
    """Least of all that of an order without a payment."""
    id = await order()
    await tell(build_event("charge.refunded", {**WHOLE, "payment_intent": None}))
    assert await graphql.one(ORDER, author, id=id) == {"status": "PENDING", **UNPAID}
    assert (await graphql.one("{ webhookEvents { nodes { status } } }", admin))["nodes"] == [{"status": "FAILED"}]


async def test_a_refund_to_a_subscriber_is_no_order_s_and_no_dead_letter(server, graphql, admin, author, order, tell):
    """Stripe names an invoice's payment, which no order knows. One to somebody else's customer is looked into."""
    bought, begun = await order(), await order()
    await tell(build_event("customer.subscription.created", subscription(begun, "active", 1000), created=PAID_AT))
    result = build_event("charge.refunded", {**WHOLE, "payment_intent": "pi_of_an_invoice", "customer": "cus_1"})
    other = build_event("charge.refunded", {**WHOLE, "payment_intent": "pi_of_nothing", "customer": "cus_2"})
    early = build_event("charge.refunded", {**WHOLE, "customer": "cus_1"})
    for each in (result, result, other, early):
        await tell(each)
    await tell(paid(bought))  # which the last was about after all
    ledger = (await graphql.one("{ webhookEvents { nodes { id status } } }", admin))["nodes"]
    statuses = {each["id"]: each["status"] for each in ledger}
    assert [statuses[each["id"]] for each in (result, other, early)] == ["IGNORED", "FAILED", "PROCESSED"]
    assert await graphql.one(ORDER, author, id=bought) == {**PAID, "status": "REFUNDED"}
    assert await known(server) == [(author.id, "cus_1", "active", 1000)]


@pytest.mark.parametrize("how", ["customer.subscription.created", "invoice.paid", "checkout.session.completed"])
async def test_a_subscriber_s_refund_may_come_first(graphql, admin, order, tell, how):
    """It is a dead letter until the subscription is known, by whichever event; another customer's stays one."""
    result = {each["type"]: each for each in life(await order(), metadata=True)}[how]
    if how == "invoice.paid":
        result["data"]["object"]["parent"]["subscription_details"]["metadata"] = {"orderId": await order()}
    for customer in ("cus_1", "cus_2"):
        await tell(
            build_event("charge.refunded", {**WHOLE, "payment_intent": "pi_of_an_invoice", "customer": customer})
        )
    ledger = "{ webhookEvents { nodes { status } } }"
    assert (await graphql.one(ledger, admin))["nodes"] == [{"status": "FAILED"}] * 2
    await tell(result)
    statuses = [each["status"] for each in (await graphql.one(ledger, admin))["nodes"]]
    assert sorted(statuses) == ["FAILED", "IGNORED", "PROCESSED"]


async def test_in_whatever_order_they_come_an_order_ends_the_same(graphql, admin, author, order, tell):
    """Completed unpaid, paid, refunded, and an expiry that cannot be: every order of the four."""
    for number, turns in enumerate(itertools.permutations(range(4))):
        id, names = await order(), {"session": f"cs_{number}", "payment_intent": f"pi_{number}"}
        result = [
            paid(id, status="unpaid", **names),
            build_event(
                "checkout.session.async_payment_succeeded", build_checkout_session(id, **names), created=PAID_AT
            ),
            build_event("charge.refunded", {**WHOLE, "payment_intent": f"pi_{number}"}),
            build_event("checkout.session.expired", build_checkout_session(id, status="unpaid", **names)),
        ]
        for turn in turns:
            await tell(result[turn])
        assert await graphql.one(ORDER, author, id=id) == {**PAID, "status": "REFUNDED"}, turns
    failed = await graphql.one("{ webhookEvents(status: FAILED) { totalCount } }", admin)
    assert failed == {"totalCount": 0}


def subscription(order: str | None, status: str, until: int, **more: Any) -> dict[str, Any]:
    """As the API has written it since 2025: each item has its period."""
    items = {"data": [{"current_period_end": until}, {"current_period_end": until - 10}]}
    result = {"id": "sub_1", "object": "subscription", "customer": "cus_1", "status": status, "items": items}
    return {**result, "metadata": {"orderId": order} if order else {}, **more}


def invoice(until: int, **more: Any) -> dict[str, Any]:
    parent = {"type": "subscription_details", "subscription_details": {"subscription": "sub_1", "metadata": {}}}
    lines = {"data": [{"period": {"start": until - 100, "end": until}}]}
    return {"id": "in_1", "object": "invoice", "customer": "cus_1", "parent": parent, "lines": lines, **more}


async def known(server: Any) -> list[tuple[str, str, str, int | None]]:
    """Each subscription: whose, at Stripe, how it is, and until when."""
    async with server.db.reading() as session:
        rows = await session.scalars(select(Subscription))
        return [(str(row.user_id), row.stripe_customer_id, row.status, stamp(row.current_period_end)) for row in rows]


def stamp(now: datetime | None) -> int | None:
    return now and int(now.astimezone(UTC).timestamp())


def life(order: str, *, metadata: bool) -> list[dict[str, Any]]:
    """A subscription from its beginning, as Stripe tells of it."""
    result, about = order if metadata else None, {"subscription": "sub_1", "customer": "cus_1"}
    bought = build_checkout_session(order, session=f"cs_of_{order}", payment_intent=None, **about)
    return [
        build_event("customer.subscription.created", subscription(result, "incomplete", 1000), created=PAID_AT),
        build_event("customer.subscription.updated", subscription(result, "active", 1000), created=PAID_AT + 1),
        build_event("invoice.paid", invoice(1000), created=PAID_AT + 1),
        build_event("checkout.session.completed", bought, created=PAID_AT + 1),
        build_event("customer.subscription.updated", subscription(result, "past_due", 2000), created=PAID_AT + 50),
        build_event("invoice.paid", invoice(3000), created=PAID_AT + 60),
    ]


@pytest.mark.parametrize("metadata", [True, False], ids=["by its metadata", "by its checkout alone"])
async def test_in_whatever_order_they_come_a_subscription_ends_the_same(
    server, graphql, admin, author, order, tell, metadata
):
    """Ten orders by chance, and the one that is right."""
    chance = Random(20261122)
    for number in range(11):
        async with server.db.writing() as session:
            await session.execute(Subscription.__table__.delete())
        result = life(await order(), metadata=metadata)
        chance.shuffle(result) if number else None
        for each in result:
            await tell(each)
        assert await known(server) == [(author.id, "cus_1", "active", 3000)], [each["type"] for each in result]
    failed = await graphql.one("{ webhookEvents(status: FAILED) { totalCount } }", admin)
    assert failed == {"totalCount": 0}


async def test_what_has_ended_stays_so(server, author, order, tell):
    """Whatever is told afterwards, of whatever time."""
    id = await order()
    for each in [
        build_event("customer.subscription.created", subscription(id, "active", 1000), created=PAID_AT),
        build_event("customer.subscription.deleted", subscription(id, "canceled", 1000), created=PAID_AT - 5),
        build_event("customer.subscription.updated", subscription(id, "active", 9000), created=PAID_AT + 500),
        build_event("invoice.paid", invoice(9000), created=PAID_AT + 500),
    ]:
        await tell(each)
    assert await known(server) == [(author.id, "cus_1", "canceled", 1000)]


async def test_older_versions_of_the_api_say_the_same_elsewhere(server, author, order, tell):
    """Periods on the subscription itself, and the subscription on the invoice itself; references may be expanded."""
    id = await order()
    older = subscription(id, "past_due", 0, current_period_end=1000, items={"data": [{}]}, customer={"id": "cus_1"})
    await tell(build_event("customer.subscription.created", older, created=PAID_AT))
    assert await known(server) == [(author.id, "cus_1", "past_due", 1000)]
    paid_for = {"id": "in_1", "subscription": {"id": "sub_1"}, "lines": {"data": [{"period": {"end": 2000}}]}}
    await tell(build_event("invoice.paid", paid_for, created=PAID_AT))
    assert await known(server) == [(author.id, "cus_1", "active", 2000)]


async def test_of_two_events_in_one_second_a_beginning_comes_first(server, author, order, tell):
    """Stripe counts in seconds, so that is all that can be told of them."""
    id = await order()
    await tell(build_event("customer.subscription.updated", subscription(id, "active", 2000), created=PAID_AT))
    await tell(build_event("customer.subscription.created", subscription(id, "incomplete", 1000), created=PAID_AT))
    assert await known(server) == [(author.id, "cus_1", "active", 2000)]
    await tell(build_event("customer.subscription.updated", subscription(id, "past_due", 2000), created=PAID_AT))
    assert await known(server) == [(author.id, "cus_1", "past_due", 2000)]


async def test_an_invoice_for_nothing_begins_no_payment(server, author, order, tell):
    """A trial's first: it stays a trial."""
    id = await order()
    await tell(build_event("customer.subscription.created", subscription(id, "trialing", 1000), created=PAID_AT))
    await tell(build_event("invoice.paid", invoice(1000, amount_paid=0), created=PAID_AT + 1))
    assert await known(server) == [(author.id, "cus_1", "trialing", 1000)]


async def test_an_invoice_without_a_subscription_is_no_concern(server, graphql, admin, tell):
    await tell(build_event("invoice.paid", {"id": "in_1", "parent": None, "lines": {"data": []}}))
    assert (await graphql.one("{ webhookEvents { nodes { status } } }", admin))["nodes"] == [{"status": "PROCESSED"}]


async def test_an_event_that_always_fails_takes_none_of_the_others_along(server, graphql, admin, author, order, tell):
    """A dead letter about the same subscription is tried again with each of them, and each has its effect."""
    other, id = await order(), await order()
    await tell(paid(other, session="cs_1"))
    about = {"subscription": "sub_1", "customer": "cus_1"}
    await tell(
        build_event(
            "checkout.session.completed", build_checkout_session(id, session="cs_1", payment_intent="pi_2", **about)
        )
    )
    await tell(build_event("customer.subscription.created", subscription(id, "incomplete", 1000), created=PAID_AT))
    await tell(build_event("invoice.paid", invoice(2000), created=PAID_AT + 1))
    assert await known(server) == [(author.id, "cus_1", "active", 2000)]
    assert await graphql.one("{ webhookEvents(status: FAILED) { totalCount } }", admin) == {"totalCount": 1}
    assert await get_event_types(server.db) == ["order.updated"]
