"""Buying: an order, then a page of Stripe's where it is paid; or a refusal in our words, and nothing left."""

import asyncio
from typing import Any

import pytest

from models import Order
from tests.support.accounts import Account
from tests.support.callers import ErrorResponse, GraphQL
from tests.support.payments import CONFIDENTIAL_TEXT, KEY, FakeStripe, build_error
from tests.support.servers import Server
from tests.support.stores import free_port
from tests.support.waiting import TEST_TIMEOUT_SECONDS, wait_until
from tests.support.writing import count_rows, get_event_types

BUY = """
    mutation($input: CheckoutInput!) { createCheckout(input: $input) {
        order { status amountTotal currency priceId quantity paidAt } url
    } }
"""
STATUSES = "{ orders { nodes { status } } }"
PAGES = {"successUrl": "https://shop.test/paid?session={CHECKOUT_SESSION_ID}", "cancelUrl": "http://localhost:3000/"}
ONE = {"priceId": "price_once", **PAGES}
NOT_SOLD = ErrorResponse("VALIDATION_ERROR", "priceId: There is no such price", {"priceId": ["There is no such price"]})


async def buy(server: Server, viewer: Account | None, **input: Any) -> Any:
    return await GraphQL(server.anonymous).one(BUY, viewer, input={**ONE, **input})


async def statuses(server: Server, viewer: Account) -> list[str]:
    found = await GraphQL(server.anonymous).one(STATUSES, viewer)
    return [order["status"] for order in found["nodes"]]


async def test_an_order_is_made_and_then_the_page_where_it_is_paid(make_server, stripe: FakeStripe, author):
    """What Stripe is told leads its events back to the order."""
    server = await make_server(**stripe.settings)
    bought = await buy(server, author, quantity=2)
    (session,) = stripe.sessions.values()
    order = {"priceId": "price_once", "quantity": 2, "amountTotal": 2500, "currency": "eur", "paidAt": None}
    assert bought == {"order": {"status": "PENDING", **order}, "url": session["url"]}
    (id,) = [
        node["id"] for node in (await GraphQL(server.anonymous).one("{ orders { nodes { id } } }", author))["nodes"]
    ]
    assert stripe.asked == [
        {
            "mode": "payment",
            "client_reference_id": id,
            "metadata[orderId]": id,
            "payment_intent_data[metadata][orderId]": id,
            "line_items[0][price]": "price_once",
            "line_items[0][quantity]": "2",
            "success_url": PAGES["successUrl"],
            "cancel_url": PAGES["cancelUrl"],
        }
    ]
    assert stripe.keys == [f"order-{id}"]
    assert await get_event_types(server.db) == []


async def test_a_subscription_carries_the_order_s_id_itself(make_server, stripe: FakeStripe, author):
    """Its events outlive the session."""
    server = await make_server(**stripe.settings)
    await buy(server, author, priceId="price_monthly", mode="SUBSCRIPTION")
    (request,) = stripe.asked
    assert request["mode"] == "subscription"
    assert request["subscription_data[metadata][orderId]"] == request["client_reference_id"]
    assert not [name for name in request if name.startswith("payment_intent_data")]


async def test_what_fails_once_is_tried_again_and_bought_once(make_server, stripe: FakeStripe, author):
    """Under one idempotency key."""
    server = await make_server(**stripe.settings)
    stripe.failures = [build_error(500, "api_error")]
    assert (await buy(server, author))["order"]["status"] == "PENDING"
    assert len(stripe.keys) == 2
    assert len(set(stripe.keys)) == len(stripe.sessions) == 1


FAILURES = {
    "it fails again and again": [build_error(500, "api_error")] * 3,
    "it makes no sense": [(200, CONFIDENTIAL_TEXT.encode())],
    "it takes our key for wrong": [build_error(401, "invalid_request_error")],
    "it limits us": [build_error(429, "rate_limit_error")] * 3,
    "it refuses what we ask": [build_error(400, "invalid_request_error", param="client_reference_id")],
    "the session has no page": [(200, b'{"id": "cs_1", "object": "checkout.session", "url": null}')],
}


async def test_when_stripe_fails_the_client_hears_of_it_in_words_of_ours(
    make_server, stripe: FakeStripe, author, caplog
):
    """502, whatever it says; the order is over, and neither the key nor Stripe's words get about."""
    server = await make_server(**stripe.settings)
    for failures in FAILURES.values():
        stripe.failures = list(failures)
        response = await GraphQL(server.anonymous).send(BUY, author, input=ONE)
        (rejected,) = response.json()["errors"]
        assert (rejected["extensions"]["code"], rejected["extensions"]["status"]) == ("UPSTREAM_ERROR", 502)
        assert CONFIDENTIAL_TEXT not in response.text
        assert KEY not in response.text
    assert await statuses(server, author) == ["EXPIRED"] * len(FAILURES)
    assert CONFIDENTIAL_TEXT not in caplog.text
    assert KEY not in caplog.text


async def test_when_stripe_cannot_be_reached_the_client_may_try_again(make_server, author):
    server = await make_server(stripe_secret_key=KEY, stripe_api_base=f"http://127.0.0.1:{free_port()}")
    response = await GraphQL(server.anonymous).send(BUY, author, input=ONE)
    (rejected,) = response.json()["errors"]
    assert (rejected["extensions"]["code"], rejected["extensions"]["status"]) == ("UNAVAILABLE", 503)
    assert await statuses(server, author) == ["EXPIRED"]


WRITE = 'createPost(input: {title: "Beside", content: "Long enough to be one."}) { id }'
BUY_BESIDE = BUY.replace("createCheckout", f"beside: {WRITE} createCheckout")


async def named(server: Server, viewer: Account, document: str) -> Any:
    """What a purchase answers that is sent under a name, always the same."""
    headers = {**viewer.headers, "Idempotency-Key": "purchase-1"}
    body = {"query": document, "variables": {"input": ONE}}
    return await server.anonymous.post("/graphql", json=body, headers=headers)


@pytest.mark.parametrize(
    "failure", [build_error(400, "invalid_request_error", param="mode"), build_error(401, "api_error")]
)
async def test_a_purchase_that_was_taken_back_can_be_tried_again_under_its_name(
    make_server, stripe: FakeStripe, author, failure
):
    """The name is given back with the order; from then on it is bought once, as ever."""
    server = await make_server(**stripe.settings)
    stripe.failures = [failure]
    rejected, bought, again = [await named(server, author, BUY) for _ in range(3)]
    assert "errors" in rejected.json()
    assert bought.json()["data"]["createCheckout"]["order"]["status"] == "PENDING"
    assert (again.content, again.headers["Idempotency-Replayed"]) == (bought.content, "true")
    assert (await statuses(server, author)).count("PENDING") == len(stripe.sessions) == 1


async def test_a_name_is_not_given_back_while_something_else_stands_that_was_done_under_it(
    make_server, stripe: FakeStripe, author
):
    """A post that was written beside the purchase would be written again."""
    server = await make_server(**stripe.settings)
    stripe.failures = [build_error(400, "invalid_request_error", param="mode")]
    rejected, again = [await named(server, author, BUY_BESIDE) for _ in range(2)]
    assert (rejected.json()["data"], again.content) == (None, rejected.content)
    assert await get_event_types(server.db) == ["post.created"]


async def test_no_database_connection_is_held_during_stripe_requests(make_server, stripe: FakeStripe, author):
    """No connection, no transaction: others write meanwhile."""
    server = await make_server(**stripe.settings)
    stripe.gate.clear()
    buying = asyncio.create_task(buy(server, author))
    await asyncio.to_thread(stripe.waiting.wait, TEST_TIMEOUT_SECONDS)
    db = server.app.state.gateway.db
    await wait_until(lambda: not db.connections_in_use)  # the event log is read now and then
    assert await statuses(server, author) == ["PENDING"]
    await GraphQL(server.anonymous).create(author, title="Meanwhile", content="Somebody else writes.")
    stripe.gate.set()
    assert (await buying)["order"]["status"] == "PENDING"


async def test_without_a_key_nothing_can_be_bought(server, author):
    response = await GraphQL(server.anonymous).send(BUY, author, input=ONE)
    (rejected,) = response.json()["errors"]
    assert (rejected["extensions"]["code"], rejected["extensions"]["status"]) == ("NOT_CONFIGURED", 503)


async def test_strangers_are_told_to_sign_in_before_anything_else(server, anonymous):
    assert await buy(server, anonymous, quantity=0) == ErrorResponse("UNAUTHORIZED", "Sign in first")


async def test_only_prices_that_are_named_are_sold_where_some_are(make_server, stripe: FakeStripe, author):
    """Stripe is not even asked for others."""
    server = await make_server(**stripe.settings, stripe_prices="price_monthly, price_yearly")
    assert await buy(server, author) == NOT_SOLD
    assert stripe.asked == []
    assert (await buy(server, author, priceId="price_monthly", mode="SUBSCRIPTION"))["order"][
        "priceId"
    ] == "price_monthly"


@pytest.mark.parametrize(
    ("input", "field"),
    [({"priceId": "price_unknown"}, "priceId"), ({"mode": "SUBSCRIPTION"}, "mode")],
    ids=["a price that Stripe does not know", "a price of another mode"],
)
async def test_what_stripe_does_not_sell_is_refused_and_leaves_no_order(
    make_server, stripe: FakeStripe, author, input, field
):
    server = await make_server(**stripe.settings)
    rejected = await buy(server, author, **input)
    assert (rejected.code, list(rejected.details)) == ("VALIDATION_ERROR", [field])
    assert CONFIDENTIAL_TEXT not in str(rejected)
    assert await count_rows(server.db, [Order]) == {"orders": 0}


URLS = [
    "",
    " ",
    "/paid",
    "paid",
    "//shop.test/paid",
    "shop.test",
    "https:",
    "https://",
    "https:///paid",
    "https:/shop.test",
    "http://:80/",
    "ftp://shop.test/",
    "javascript:alert(1)",
    "JavaScript://shop.test/%0aalert(1)",
    "data:text/html,paid",
    "file:///etc/passwd",
    "mailto:a@b.test",
    "https://shop.test@evil.test/",
    "https://user:password@shop.test/",
    "https://shop.test\\@evil.test/",
    "https://shop.test/a b",
    "https://shop.test/\n",
    "https://shop.test/\u0000",
    "https://shop.test/\u202e",
    "https://shop.test:port/",
    "https://shop.test:99999/",
    "https://[::1/",
    f"https://shop.test/{'a' * 2048}",
]
WRONG = {
    **{f"success {url[:40]!r}": {"successUrl": url} for url in URLS},
    **{f"cancel {url[:40]!r}": {"cancelUrl": url} for url in URLS[:10]},
    **{f"quantity {number!r}": {"quantity": number} for number in (0, -1, 1001, 2**31, 1.5, "1", True, [1, 2])},
    **{f"price {price!r:.20}": {"priceId": price} for price in ("", " ", "a\0b", "p" * 256, 7, None)},
    **{f"mode {mode!r}": {"mode": mode} for mode in ("payment", "SETUP", 1)},
    "a price of the client's own": {"amount": 1},
    "a currency": {"currency": "usd"},
    "somebody else's account": {"userId": "01900000-0000-7000-8000-000000000000"},
}


async def test_an_invalid_order_is_rejected_before_the_stripe_request(make_server, stripe: FakeStripe, author):
    """Over fifty ways to be wrong, each named for its field where there is one."""
    server = await make_server(**stripe.settings)
    assert len(WRONG) > 50
    responses = {name: await buy(server, author, **input) for name, input in WRONG.items()}
    assert {
        name: response for name, response in responses.items() if getattr(response, "code", 0) != "VALIDATION_ERROR"
    } == {}
    assert stripe.asked == []
    assert await count_rows(server.db, [Order]) == {"orders": 0}
