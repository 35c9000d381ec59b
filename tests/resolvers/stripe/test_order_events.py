"""Who buys is told what becomes of it, without polling; and nobody else is."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from models import Order, Role
from tests.support.accounts import Account
from tests.support.live_server import LiveServer, open_live_server
from tests.support.payments import SECRET, build_checkout_session, build_event, deliver
from tests.support.subscribers import open_socket, open_sse_stream

FOLLOW = "subscription($order: ID!) { orderUpdated(id: $order) { id status amountTotal } }"


@pytest.fixture
async def live(anyio_backend: str, database_url: str) -> AsyncIterator[LiveServer]:
    async with open_live_server(database_url, stripe_webhook_secret=SECRET) as here:
        yield here


async def ordered(live: LiveServer, buyer: Account) -> str:
    made = Order(user_id=UUID(buyer.id), price_id="price_once")
    async with live.db.writing() as session:
        session.add(made)
    return str(made.id)


async def test_an_order_is_told_to_its_buyer_over_the_feed_and_to_nobody_else(live: LiveServer):
    """Not even to an admin. `types=order` asks for nothing else, and who comes back misses nothing."""
    buyer, stranger, admin = await live.account(), await live.account(), await live.account(role=Role.ADMIN)
    id = await ordered(live, buyer)
    async with (
        live.feed(buyer, types="order") as mine,
        live.feed(stranger) as other,
        live.feed(admin) as theirs,
        live.feed() as anyone,
    ):
        await deliver(live.http, build_event("checkout.session.completed", build_checkout_session(id)))
        result = await mine.event()
        assert result == {
            "id": result["id"],
            "type": "order.updated",
            "postId": None,
            "actorId": None,
            "at": result["at"],
            "orderId": id,
        }
        post = {"title": "Something else", "content": "That everybody may hear of.", "status": "PUBLISHED"}
        await live.graphql.create(stranger, **post)
        for feed in (other, theirs, anyone):
            assert await feed.types(2) == ["post.created", "post.published"]
    async with live.feed(buyer, types="order.updated", since=mine.connected.id) as again:
        assert (await again.event())["orderId"] == id
        await deliver(live.http, build_event("charge.refunded", {"payment_intent": "pi_1", "refunded": True}))
        assert (await again.event())["orderId"] == id


async def test_two_orders_have_each_their_own_audience(live: LiveServer):
    """Though neither belongs to a post."""
    buyers = [await live.account(), await live.account()]
    ids = [await ordered(live, buyer) for buyer in buyers]
    async with live.feed(buyers[0], types="order") as one, live.feed(buyers[1], types="order") as two:
        for number in (1, 0):
            paid = build_checkout_session(ids[number], session=f"cs_{number}", payment_intent=f"pi_{number}")
            await deliver(live.http, build_event("checkout.session.completed", paid))
        assert [(await feed.event())["orderId"] for feed in (one, two)] == ids


async def test_order_updated_tells_each_step(live: LiveServer):
    """Over SSE and over a WebSocket alike."""
    buyer = await live.account()
    id = await ordered(live, buyer)
    async with (
        open_sse_stream(live.http, FOLLOW, buyer, order=id) as stream,
        open_socket(live.address, buyer) as client,
    ):
        subscribed = await client.subscribe(FOLLOW, order=id)
        await live.subscribed(2)
        await deliver(live.http, build_event("checkout.session.completed", build_checkout_session(id)))
        paid = {"id": id, "status": "PAID", "amountTotal": 1250}
        assert await stream.next_value() == await client.next_value(subscribed) == paid
        await deliver(live.http, build_event("charge.refunded", {"payment_intent": "pi_1", "refunded": True}))
        assert await stream.next_value() == await client.next_value(subscribed) == {**paid, "status": "REFUNDED"}


@pytest.mark.parametrize(
    ("who", "code"), [("stranger", "NOT_FOUND"), ("admin", "NOT_FOUND"), ("nobody", "UNAUTHORIZED")]
)
async def test_another_s_order_cannot_be_followed(live: LiveServer, who, code):
    """It is as if it were not there, and says so at once."""
    buyer, others = await live.account(), {"stranger": Role.USER, "admin": Role.ADMIN}
    id, viewer = await ordered(live, buyer), await live.account(role=others[who]) if who in others else None
    async with open_socket(live.address, viewer) as client:
        assert await client.error(await client.subscribe(FOLLOW, order=id)) == code
        assert await client.error(await client.subscribe(FOLLOW, order="nonsense")) == code
