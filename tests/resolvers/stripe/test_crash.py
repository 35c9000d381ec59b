"""A server is killed in a burst of deliveries; Stripe delivers all of them again, and each has its effect once."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select

from models import Database, Event, Order, OrderStatus, WebhookEvent, WebhookStatus
from resolvers.tokens import Tokens
from tests.support.accounts import sign_up
from tests.support.payments import SECRET, build_checkout_session, build_event, deliver
from tests.support.processes import ServerProcess
from tests.support.servers import SECRET as SIGNING

SEED = 20261122
DELIVERIES = 300
ORDERS = 100
"""Each is paid, told of twice by different events, and every other one is refunded; the rest are repetitions."""
AT_ONCE = 20
PATIENCE = 120
"""Seconds in which all are delivered again. On a busy machine some wait for one of the server's ten connections to
Postgres longer than it lets them, and are answered 503: those Stripe sends again, and so do we."""
KILLED_AFTER = 60
"""Deliveries that were answered."""


async def ordered(db: Database) -> list[str]:
    buyer = await sign_up(db, Tokens(SIGNING))
    orders = [Order(user_id=UUID(buyer.id), price_id="price_once") for _ in range(ORDERS)]
    async with db.writing() as session:
        session.add_all(orders)
    return [str(order.id) for order in orders]


def burst(orders: Sequence[str], chance: Random) -> list[dict[str, Any]]:
    """In no order."""
    result = []
    for number, id in enumerate(orders):
        paid = build_checkout_session(id, session=f"cs_{number}", payment_intent=f"pi_{number}")
        result += [
            build_event("checkout.session.completed", paid),
            build_event("checkout.session.async_payment_succeeded", paid),
        ]
        if number % 2:
            result.append(build_event("charge.refunded", {"payment_intent": f"pi_{number}", "refunded": True}))
    result += chance.sample(result, DELIVERIES - len(result))
    chance.shuffle(result)
    return result


async def delivered(
    address: str, result: Sequence[dict[str, Any]], answered: Callable[[], None]
) -> list[dict[str, Any]]:
    """What was not answered with 200, and so is delivered again."""
    room, again = asyncio.Semaphore(AT_ONCE), []

    async def one(http: httpx.AsyncClient, build_event: dict[str, Any]) -> None:
        async with room:
            try:
                response = await deliver(http, build_event)
            except httpx.TransportError:
                again.append(build_event)
            else:
                assert response.status_code in (200, 503), response.text
                again.extend([build_event] if response.status_code != 200 else [])
                answered()

    async with httpx.AsyncClient(base_url=address, timeout=60) as http, asyncio.TaskGroup() as work:
        for each in result:
            work.create_task(one(http, each))
    return again


@pytest.mark.parametrize("dialect", ["sqlite", "postgres"])
async def test_a_server_killed_in_a_burst_loses_nothing_and_does_nothing_twice(unused_database, tmp_path, dialect):
    """300 deliveries; what was answered is there after the crash, and after another delivery of all each is so once."""
    url = await unused_database(dialect)
    db, count, kill = Database(url, pool_size=1), iter(range(DELIVERIES)), asyncio.Event()
    orders = await ordered(db)
    result = burst(orders, Random(SEED))
    server = ServerProcess(tmp_path, url, STRIPE_WEBHOOK_SECRET=SECRET)

    def answered() -> None:
        if next(count) == KILLED_AFTER:
            kill.set()

    async with server:
        sending = asyncio.create_task(delivered(server.address, result, answered))
        async with asyncio.timeout(PATIENCE):
            await kill.wait()
        await server.kill()
        lost = await sending
        done = {each["id"] for each in result} - {each["id"] for each in lost}
        assert lost
        assert done
        assert done <= set(await kept(db))
        await server.start()
        left = result
        async with asyncio.timeout(PATIENCE):
            while left:
                left = await delivered(server.address, left, lambda: None)
    statuses = {id: OrderStatus.REFUNDED if number % 2 else OrderStatus.PAID for number, id in enumerate(orders)}
    assert await standing(db) == statuses
    assert await updates(db) == {id: 2 if status is OrderStatus.REFUNDED else 1 for id, status in statuses.items()}
    assert set((await kept(db)).values()) == {WebhookStatus.PROCESSED}
    assert len(await kept(db)) == len({each["id"] for each in result}) == 250
    await db.close()


async def kept(db: Database) -> dict[str, WebhookStatus]:
    async with db.reading() as session:
        return dict((await session.execute(select(WebhookEvent.id, WebhookEvent.status))).all())


async def standing(db: Database) -> dict[str, OrderStatus]:
    async with db.reading() as session:
        return {str(id): status for id, status in await session.execute(select(Order.id, Order.status))}


async def updates(db: Database) -> dict[str, int]:
    """How often each order was said to have changed."""
    async with db.reading() as session:
        output = await session.scalars(select(Event.entity_id).where(Event.type == "order.updated"))
        return dict(Counter(map(str, output)))
