"""What tests of payments ask for.

stripe      a server that answers as Stripe's API does (support/payments.py: `StripeLike`)
server      ours, on either database in turn, empty, which knows the secrets that events are signed with
tell        `await tell(event)`: delivers a signed event, which must be answered as received
order       `await order()`: the id of a new order of the author's
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID

import pytest

from models import Order
from tests.support.accounts import Account
from tests.support.payments import OLDER_SECRET, SECRET, FakeStripe, deliver, open_fake_stripe
from tests.support.servers import Server, open_server


@pytest.fixture
def stripe() -> Iterator[FakeStripe]:
    with open_fake_stripe() as here:
        yield here


class Shops(dict[str, Server]):
    """By database: servers kept for all tests."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self.stack = stack

    async def on(self, url: str) -> Server:
        if url not in self:
            secrets = {"stripe_webhook_secret": f"{SECRET},{OLDER_SECRET}"}
            self[url] = await self.stack.enter_async_context(open_server(url, **secrets))
        return self[url]


@pytest.fixture(scope="session")
async def shops(anyio_backend: str) -> AsyncIterator[Shops]:
    async with AsyncExitStack() as stack:
        yield Shops(stack)


@pytest.fixture
async def server(anyio_backend: str, database_url: str, shops: Shops) -> Server:
    return await shops.on(database_url)


@pytest.fixture
def tell(server: Server) -> Callable[[dict[str, Any]], Awaitable[None]]:
    async def told(event: dict[str, Any]) -> None:
        response = await deliver(server.anonymous, event)
        assert (response.status_code, response.json()) == (200, {"received": True})

    return told


@pytest.fixture
def order(server: Server, author: Account) -> Callable[[], Awaitable[str]]:
    async def make() -> str:
        made = Order(user_id=UUID(author.id), price_id="price_once")
        async with server.db.writing() as session:
            session.add(made)
        return str(made.id)

    return make
