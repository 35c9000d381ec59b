"""Orders are their buyer's alone."""

from typing import Any
from uuid import UUID

import pytest

from models import Order, OrderStatus
from tests.support.accounts import Account
from tests.support.callers import GraphQL, Refusal
from tests.support.servers import Server

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
    moment = order.created_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    unknown = {"amountTotal": None, "currency": None, "paidAt": None}
    told = {"id": str(order.id), "status": OrderStatus.PENDING.name, "priceId": order.price_id}
    return {**told, **unknown, "quantity": order.quantity, "createdAt": moment}


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
    assert await graphql.one(ORDERS, anonymous) == Refusal("UNAUTHORIZED", "Sign in first")


@pytest.mark.parametrize(
    ("viewer", "sees"), [("author", True), ("admin", True), ("stranger", False), ("nobody", False)]
)
async def test_by_its_id_an_order_is_seen_by_its_buyer_and_by_admins(
    graphql: GraphQL, author, admin, stranger, orders, viewer, sees
):
    asking = {"author": author, "admin": admin, "stranger": stranger, "nobody": None}[viewer]
    assert await graphql.one(NODE, asking, id=orders[0]["id"]) == (orders[0] if sees else None)
