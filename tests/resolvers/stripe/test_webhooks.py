"""Stripe's webhooks: who may tell, what is kept of it, and that it takes effect once."""

import asyncio
import json
import time
from typing import Any

import pytest

from models import Order, Subscription, WebhookEvent
from tests.support.payments import OLDER_SECRET, PATH, SECRET, build_checkout_session, build_event, deliver, sign
from tests.support.writing import change_row, count_rows, get_event_types

LEDGER = "{ webhookEvents { nodes { id type status error attempts } } }"
KEPT = [WebhookEvent, Order, Subscription]
STATUS = "query($id: ID!) { node(id: $id) { ... on Order { status } } }"


async def status(graphql: Any, viewer: Any, id: str) -> str:
    return (await graphql.one(STATUS, viewer, id=id))["status"]


async def test_fifty_simultaneous_deliveries_of_one_event_make_one_effect(server, graphql, author, admin, order):
    id = await order()
    result = build_event("checkout.session.completed", build_checkout_session(id))
    responses = await asyncio.gather(*(deliver(server.anonymous, result) for _ in range(50)))
    assert {(response.status_code, response.text) for response in responses} == {(200, '{"received":true}')}
    assert await status(graphql, author, id) == "PAID"
    assert await get_event_types(server.db) == ["order.updated"]
    assert (await graphql.one(LEDGER, admin))["nodes"] == [
        {"id": result["id"], "type": result["type"], "status": "PROCESSED", "error": None, "attempts": 1}
    ]


async def test_fifty_events_about_one_order_pay_for_it_once(server, graphql, author, order):
    """They take turns, whichever of them comes first."""
    id = await order()
    kinds = ["checkout.session.completed", "checkout.session.async_payment_succeeded"]
    result = [build_event(kinds[number % 2], build_checkout_session(id)) for number in range(50)]
    responses = await asyncio.gather(*(deliver(server.anonymous, each) for each in result))
    assert {response.status_code for response in responses} == {200}
    assert await status(graphql, author, id) == "PAID"
    assert await get_event_types(server.db) == ["order.updated"]
    assert await count_rows(server.db, [WebhookEvent]) == {"webhook_events": 50}


async def test_a_refund_and_its_payment_that_come_together_end_refunded(server, graphql, author, order):
    """Though the refund names the payment alone, which no order is known by yet. Ten times, as either may be first."""
    ids = [await order() for _ in range(10)]
    result = []
    for number, id in enumerate(ids):
        paid = build_checkout_session(id, session=f"cs_{number}", payment_intent=f"pi_{number}")
        result.append(build_event("checkout.session.completed", paid))
        result.append(
            build_event("charge.refunded", {"object": "charge", "payment_intent": f"pi_{number}", "refunded": True})
        )
    await asyncio.gather(*(deliver(server.anonymous, each) for each in result))
    assert [await status(graphql, author, id) for id in ids] == ["REFUNDED"] * 10
    assert await get_event_types(server.db) == ["order.updated"] * 20


async def test_a_subscriber_s_refund_and_the_subscription_that_come_together_are_no_dead_letters(
    server, graphql, admin, order
):
    """Ten times, as either may be first: they take turns, by the customer that both name."""
    result = []
    for number in range(10):
        about = {"object": "subscription", "id": f"sub_{number}", "customer": f"cus_{number}", "status": "active"}
        result.append(build_event("customer.subscription.created", {**about, "metadata": {"orderId": await order()}}))
        result.append(
            build_event("charge.refunded", {"object": "charge", "customer": f"cus_{number}", "refunded": True})
        )
    await asyncio.gather(*(deliver(server.anonymous, each) for each in result))
    failed = await graphql.one("{ webhookEvents(status: FAILED) { totalCount } }", admin)
    assert failed == {"totalCount": 0}


@pytest.mark.parametrize("secret", [SECRET, OLDER_SECRET], ids=["the new one", "the one before"])
async def test_each_secret_counts_while_one_is_rotated(server, secret):
    response = await deliver(server.anonymous, build_event("ping", {}), secret)
    assert (response.status_code, response.json()) == (200, {"received": True})


async def test_a_type_that_is_no_concern_is_kept_as_ignored(server, graphql, admin, tell):
    result = build_event("customer.created", {"id": "cus_1"})
    await tell(result)
    assert (await graphql.one(LEDGER, admin))["nodes"] == [
        {"id": result["id"], "type": "customer.created", "status": "IGNORED", "error": None, "attempts": 1}
    ]


async def test_events_of_the_newer_kind_are_kept_too(server, graphql, admin, tell):
    """They say when they were made in words, and hold no object."""
    timestamp = "2026-11-22T12:00:00.000Z"
    await tell({"id": "evt_thin", "object": "v2.core.event", "type": "v1.billing.meter.no_meter", "created": timestamp})
    assert (await graphql.one(LEDGER, admin))["nodes"][0]["status"] == "IGNORED"


UNMENDABLE = {
    "an order that is not there": build_checkout_session("01900000-0000-7000-8000-000000000000"),
    "an order by no id": build_checkout_session("order 7"),
    "a session of somebody else's": {"id": "cs_1", "payment_status": "paid", "metadata": {}},
    "a session with nulls": {"id": "cs_1", "payment_status": None, "metadata": None, "payment_intent": None},
    "a session without an id": {"payment_status": "paid"},
    "an amount that is none": build_checkout_session("01900000-0000-7000-8000-000000000000", amount_total="much"),
    "an amount beyond all": build_checkout_session("01900000-0000-7000-8000-000000000000", amount_total=2**40),
    "metadata that is a list": build_checkout_session("x", metadata=["orderId"]),
    "no object": None,
    "a list for an object": [],
    "a text for an object": "cs_1",
}


async def test_what_no_retrying_can_mend_is_kept_with_its_reason(server, graphql, admin, tell):
    """And answered 200, so that Stripe stops. Sent again by hand, it is tried again."""
    result = {name: build_event("checkout.session.completed", about) for name, about in UNMENDABLE.items()}
    for each in [*result.values(), *result.values()]:
        await tell(each)
    kept = {row["id"]: row for row in (await graphql.one(LEDGER, admin))["nodes"]}
    stands = {name: kept[each["id"]] for name, each in result.items()}
    assert {name: (row["status"], row["attempts"]) for name, row in stands.items()} == dict.fromkeys(
        result, ("FAILED", 2)
    )
    assert all(row["error"] for row in stands.values())
    assert await get_event_types(server.db) == []


async def test_a_link_s_reference_that_any_buyer_may_choose_pays_for_nothing(server, graphql, author, order, tell):
    """Of a payment link the client chooses `client_reference_id`: without our metadata it proves nothing."""
    id = await order()
    await tell(build_event("checkout.session.completed", build_checkout_session(id, session="cs_cheap", metadata={})))
    assert await status(graphql, author, id) == "PENDING"


def bodies() -> dict[str, bytes]:
    """What nobody at Stripe would sign."""
    sound = build_event("ping", {})
    fields = {
        f"{name} {value!r:.20}": {**sound, name: value}
        for name, values in {
            "id": (None, "", 7, [], {}, True, "x" * 256, "a\0b"),
            "type": (None, "", 7, [], {}, "x" * 256, "a\0b"),
            "created": (None, "", "soon", [], {}, 10**30),
            "data": (None, "", 7, []),
        }.items()
        for value in values
    }
    missing = {f"no {name}": {k: v for k, v in sound.items() if k != name} for name in ("id", "type", "created")}
    shapes = {"null": None, "a number": 7, "a text": "x", "a list": [sound], "nothing in it": {}, "true": True}
    texts = {name: json.dumps(body).encode() for name, body in {**fields, **missing, **shapes}.items()}
    return texts | {"nothing": b"", "half of it": b'{"id": "evt', "NaN": b"NaN", "no JSON": b"id=evt_1", "space": b" "}


async def test_a_signed_body_that_is_no_event_is_refused_and_leaves_nothing(server):
    rejected = [await server.anonymous.post(PATH, content=body, headers=sign(body)) for body in bodies().values()]
    assert {(response.status_code, response.json()["code"]) for response in rejected} == {(400, "VALIDATION_ERROR")}
    assert await count_rows(server.db, KEPT) == {"webhook_events": 0, "orders": 0, "subscriptions": 0}


def signatures(body: bytes) -> dict[str, dict[str, str]]:
    """Everything but a good one."""
    now, good = int(time.time()), sign(body)["Stripe-Signature"]
    timestamp, _, v1 = good.partition(",")
    wrong = {
        "an empty one": "",
        "nonsense": "nonsense",
        "another secret's": sign(body, "whsec_other")["Stripe-Signature"],
        "another body's": sign(b"{}")["Stripe-Signature"],
        "six minutes old": sign(body, at=now - 360)["Stripe-Signature"],
        "five minutes and a second old": sign(body, at=now - 302)["Stripe-Signature"],
        "another moment's": f"t={now - 7},{v1}",
        "no moment": v1,
        "no signature": timestamp,
        "an older scheme": good.replace("v1=", "v0="),
        "half of it": good[:-10],
        "in capitals": good.upper(),
        "a moment that is none": f"t=now,{v1}",
        "a moment without end": f"t={'9' * 400},{v1}",
        "a negative moment": f"t=-1,{v1}",
        "an empty moment": f"t=,{v1}",
        "an empty signature": f"{timestamp},v1=",
        "with letters of other scripts": f"{timestamp},v1=\xe9",
        "commas": ",,,,",
        "equals": "====",
        "two wrong ones": f"{timestamp},v1=a,v1=b",
    }
    return {name: {"Stripe-Signature": value} for name, value in wrong.items()} | {"none": {}}


async def test_what_stripe_did_not_sign_lately_is_refused_and_leaves_nothing(server, author):
    """Nor does it help to be signed in."""
    body = json.dumps(build_event("ping", {})).encode()
    for name, headers in signatures(body).items():
        raw = [(key, value.encode("latin-1")) for key, value in {**headers, **author.headers}.items()]
        response = await server.anonymous.post(PATH, content=body, headers=raw)
        output = response.json()
        assert (response.status_code, output["code"]) == (400, "INVALID_SIGNATURE"), name
        assert output == {
            "error": "The signature is not valid",
            "code": "INVALID_SIGNATURE",
            "requestId": response.headers["X-Request-ID"],
        }
    for spoiled in (body + b" ", body[:-1], b"\xff\xfe", body.replace(b"ping", b"pong")):
        response = await server.anonymous.post(PATH, content=spoiled, headers=sign(body))
        assert (response.status_code, response.json()["code"]) == (400, "INVALID_SIGNATURE")
    assert await count_rows(server.db, [WebhookEvent]) == {"webhook_events": 0}


async def test_one_good_signature_among_several_is_enough(server):
    """Stripe signs with both secrets while one is rotated."""
    body = json.dumps(build_event("ping", {})).encode()
    timestamp, _, good = sign(body)["Stripe-Signature"].partition(",")
    headers = {"Stripe-Signature": f"{timestamp},v1=0,{good},v0=1"}
    assert (await server.anonymous.post(PATH, content=body, headers=headers)).status_code == 200


async def test_webhooks_ignore_other_credentials_and_have_no_rate_limit(make_server, author):
    """A webhook has no viewer, so an invalid bearer token is not an error."""
    server = await make_server(stripe_webhook_secret=SECRET, rate_limit_api="1/minute")
    body = json.dumps(build_event("ping", {})).encode()
    others = {"Authorization": "Bearer nonsense", "Cookie": f"dovetail_session={author.access_token}"}
    for _ in range(3):
        response = await server.anonymous.post(PATH, content=body, headers={**sign(body), **others})
        assert (response.status_code, "X-RateLimit-Limit" in response.headers) == (200, False)


async def test_without_a_secret_nothing_is_believed(make_server):
    server = await make_server()
    response = await deliver(server.anonymous, build_event("ping", {}))
    assert (response.status_code, response.json()["code"]) == (503, "NOT_CONFIGURED")


async def test_a_body_is_bounded_and_the_method_is_post(server):
    body = b'{"id": "' + b"x" * 2**20 + b'"}'
    assert (await server.anonymous.post(PATH, content=body, headers=sign(body))).status_code == 413
    response = await server.anonymous.get(PATH)
    assert (response.status_code, response.headers["Allow"]) == (405, "POST")


async def test_a_database_that_is_away_is_a_reason_to_send_it_again(make_server, server, order):
    """503, and nothing kept; sent again, it takes effect."""
    id = await order()
    result = build_event("checkout.session.completed", build_checkout_session(id))
    other = await make_server(stripe_webhook_secret=SECRET)
    db = other.app.state.gateway.db
    away = type(db)("postgresql+asyncpg://postgres@127.0.0.1:1/postgres")
    other.app.state.gateway.db = away
    response = await deliver(other.anonymous, result)
    assert (response.status_code, response.json()["code"], response.headers["Retry-After"]) == (503, "UNAVAILABLE", "1")
    other.app.state.gateway.db = db
    assert await count_rows(server.db, [WebhookEvent]) == {"webhook_events": 0}
    assert (await deliver(other.anonymous, result)).status_code == 200
    assert await get_event_types(server.db) == ["order.updated"]


async def test_a_dead_letter_is_mended_and_replayed_once(server, graphql, author, admin, order, tell):
    """However often it is replayed, by however many at once."""
    id, replay = await order(), "mutation($id: ID!) { replayWebhookEvent(id: $id) { id status attempts error } }"
    dead = build_event(
        "checkout.session.completed", build_checkout_session("somebody's", session="cs_mine", payment_status="paid")
    )
    await tell(dead)
    failed = await graphql.one(replay, admin, id=dead["id"])
    assert failed == {
        "id": dead["id"],
        "status": "FAILED",
        "attempts": 2,
        "error": "No order belongs to cs_mine",
    }
    await change_row(server.db, Order, id, stripe_session_id="cs_mine")  # somebody has found out whose it was
    result = await asyncio.gather(*(graphql.one(replay, admin, id=dead["id"]) for _ in range(5)))
    assert result == [{"id": dead["id"], "status": "PROCESSED", "attempts": 3, "error": None}] * 5
    assert await status(graphql, author, id) == "PAID"
    assert await get_event_types(server.db) == ["order.updated"]


async def test_the_ledger_is_for_admins(graphql, author, admin, anonymous, tell):
    result = [build_event("customer.created", {}), build_event("checkout.session.completed", {})]
    for each in result:
        await tell(each)
    failed = await graphql.one("{ webhookEvents(status: FAILED, first: 1) { totalCount nodes { id } } }", admin)
    assert failed == {"totalCount": 1, "nodes": [{"id": result[1]["id"]}]}
    for viewer, code in ((author, "FORBIDDEN"), (anonymous, "UNAUTHORIZED")):
        assert (await graphql.one(LEDGER, viewer)).code == code
        replayed = await graphql.one(f'mutation {{ replayWebhookEvent(id: "{result[0]["id"]}") {{ id }} }}', viewer)
        assert replayed.code == code
    missing = await graphql.one('mutation { replayWebhookEvent(id: "evt_none") { id } }', admin)
    assert (missing.code, missing.message) == ("NOT_FOUND", "Webhook event not found")


async def test_the_pages_of_the_ledger_join(graphql, admin, tell):
    """From one cursor to the next, by ids that are text."""
    result = [build_event("customer.created", {}) for _ in range(5)]
    for each in result:
        await tell(each)
    page = "query($a: String) { webhookEvents(first: 2, after: $a) { nodes { id } pageInfo { endCursor } } }"
    after, seen = None, []
    for _ in range(3):
        found = await graphql.one(page, admin, a=after)
        seen += [node["id"] for node in found["nodes"]]
        after = found["pageInfo"]["endCursor"]
    assert seen == [each["id"] for each in reversed(result)]


async def test_openapi_tells_all_that_a_delivery_may_be_answered(server):
    document = (await server.anonymous.get("/openapi.json")).json()
    operation = document["paths"][PATH]["post"]
    assert sorted(operation["responses"]) == ["200", "400", "413", "500", "503"]
    assert operation["security"] == []
    assert [parameter["name"] for parameter in operation["parameters"]] == ["Stripe-Signature"]


async def test_a_fault_of_ours_is_kept_and_nothing_of_its_effect(server, graphql, admin, author, order, tell):
    """Two orders cannot have one session: what was done until that was found out is undone."""
    first, second = await order(), await order()
    await tell(build_event("checkout.session.completed", build_checkout_session(first, session="cs_1")))
    await tell(
        build_event("checkout.session.completed", build_checkout_session(second, session="cs_1", payment_intent="pi_2"))
    )
    assert await status(graphql, author, second) == "PENDING"
    assert await get_event_types(server.db) == ["order.updated"]
    failed = (await graphql.one(LEDGER, admin))["nodes"][0]
    assert (failed["status"], failed["error"].split(":")[0]) == ("FAILED", "Internal error")
