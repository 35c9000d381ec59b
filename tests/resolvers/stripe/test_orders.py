"""Orders are their buyer's alone."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from models import Order, OrderStatus, utcnow
from resolvers.orders import EXPIRE_BATCH_SIZE, expire
from tests.support.accounts import Account
from tests.support.callers import ErrorResponse, GraphQL
from tests.support.payments import build_checkout_session, build_event
from tests.support.servers import Server
from tests.support.writing import change_row, get_event_types

ORDER = "id status amountTotal currency priceId quantity createdAt paidAt"
ORDERS = f"{{ orders(first: 2) {{ totalCount nodes {{ {ORDER} }} pageInfo {{ hasNextPage }} }} }}"
NODE = f"query($id: ID!) {{ node(id: $id) {{ ... on Order {{ {ORDER} }} }} }}"


@pytest.fixture
async def orders(anyio_backend: str, server: Server, author: Account) -> list[dict[str, Any]]:
    """Three of the author's, the newest first, as GraphQL tells of them."""
    made = [Order(user_id=UUID(author.id), price_id=f"price_{n}", quantity=n) for n in (1, 2, 3)]
    async with server.db.writing() as session:
        session.add_all(made)
    return [shown(order) for order in reversed(made)]


def shown(order: Order) -> dict[str, Any]:
    timestamp = order.created_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    unknown = {"amountTotal": None, "currency": None, "paidAt": None}
    result = {"id": str(order.id), "status": OrderStatus.PENDING.name, "priceId": order.price_id}
    return {**result, **unknown, "quantity": order.quantity, "createdAt": timestamp}


async def test_one_s_own_orders_are_listed_newest_first(graphql: GraphQL, author, stranger, orders):
    """Other people's are not among them."""
    assert await graphql.one(ORDERS, author) == {
        "totalCount": 3,
        "nodes": orders[:2],
        "pageInfo": {"hasNextPage": True},
    }
    assert await graphql.one(ORDERS, stranger) == {"totalCount": 0, "nodes": [], "pageInfo": {"hasNextPage": False}}


async def test_an_admin_s_list_holds_their_own_orders_too_and_no_others(graphql: GraphQL, admin, orders):
    assert (await graphql.one(ORDERS, admin))["totalCount"] == 0


async def test_nobody_in_particular_has_no_orders(graphql: GraphQL, anonymous, orders):
    assert await graphql.one(ORDERS, anonymous) == ErrorResponse("UNAUTHORIZED", "Sign in first")


@pytest.mark.parametrize(
    ("viewer", "sees"), [("author", True), ("admin", True), ("stranger", False), ("nobody", False)]
)
async def test_by_its_id_an_order_is_seen_by_its_buyer_and_by_admins(
    graphql: GraphQL, author, admin, stranger, orders, viewer, sees
):
    asking = {"author": author, "admin": admin, "stranger": stranger, "nobody": None}[viewer]
    assert await graphql.one(NODE, asking, id=orders[0]["id"]) == (orders[0] if sees else None)


async def test_an_order_without_a_page_ends_after_a_day(server: Server, graphql: GraphQL, author, orders, tell):
    """As one does whose server died before it asked Stripe. Its buyer is told; what is paid after all is PAID."""
    newest, middle, oldest = (order["id"] for order in orders)
    for id in (middle, oldest):
        await change_row(server.db, Order, id, created_at=utcnow() - timedelta(hours=25))
    await change_row(server.db, Order, middle, stripe_session_id="cs_1")
    assert [await expire(server.db) for _ in range(2)] == [1, 0]
    seen = (await graphql.one("{ orders { nodes { id status } } }", author))["nodes"]
    assert {order["id"]: order["status"] for order in seen} == {newest: "PENDING", middle: "PENDING", oldest: "EXPIRED"}
    assert await get_event_types(server.db) == ["order.updated"]
    await tell(build_event("checkout.session.completed", build_checkout_session(oldest, session="cs_2")))
    assert (await graphql.one(NODE, author, id=oldest))["status"] == "PAID"


async def test_servers_that_sweep_at_once_end_an_order_once(server: Server, author):
    stale = [Order(user_id=UUID(author.id), price_id="price_once") for _ in range(EXPIRE_BATCH_SIZE + 20)]
    for order in stale:
        order.created_at = utcnow() - timedelta(days=2)
    async with server.db.writing() as session:
        session.add_all(stale)
    assert sum(await asyncio.gather(*(expire(server.db) for _ in range(2)))) == len(stale)
    assert await get_event_types(server.db) == ["order.updated"] * len(stale)
