"""`graphql-ws`, `graphql-sse`, Apollo Client and `eventsource` follow the log of a server as it is served.

Each is as its makers deliver it. What it is told of this server is an address, a token, where to start, and to send the
id of the event that it heard last when it comes back.
"""

from contextlib import AsyncExitStack, asynccontextmanager

import pytest

CLIENTS = ["graphql-ws", "graphql-sse", "apollo", "eventsource"]
SOCKETS = ["graphql-ws", "apollo"]


@pytest.mark.parametrize("client", CLIENTS)
async def test_hears_in_order_what_its_viewer_may_see(client, folder, running):
    """What was before it came, then what happens; drafts are their author's alone."""
    author = {"token": running.author.access_token}
    first = await running.create()
    async with (
        running.subscribe(client, folder, **author) as ann,
        running.subscribe(client, folder) as anybody,
    ):
        await ann.receive("CREATED")
        await running.publish(first)
        await running.create()
        await running.like(first)
        hers = await ann.receive("CREATED", "PUBLISHED", "CREATED", "LIKED")
        theirs = await anybody.receive("PUBLISHED", "LIKED")
    assert hers == sorted(set(hers))
    assert theirs == [hers[1], hers[3]]


@pytest.mark.parametrize("client", CLIENTS)
async def test_goes_on_where_it_was_when_its_connection_broke(client, folder, running):
    """Without a gap, though much happened while it was away, and without hearing anything twice."""
    async with running.subscribe(client, folder, token=running.author.access_token) as ann:
        await running.create()
        await ann.receive("CREATED")
        running.proxy.is_down = True
        assert running.proxy.cut() == 1
        id = await running.create()
        await running.publish(id)
        running.proxy.open()
        await ann.receive("CREATED", "CREATED", "PUBLISHED")
        await running.like(id)
        ids = await ann.receive("CREATED", "CREATED", "PUBLISHED", "LIKED")
    assert ids == sorted(set(ids))
    assert len(ann.closed) >= 1


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_token_that_is_none_is_refused(client, folder, running):
    """By the code that each protocol has for it, and the client does not insist."""
    before = running.proxy.made
    async with running.subscribe(client, folder, token="no token", wait=None) as subscriber:
        assert await subscriber.get_failure() == (4401 if client in SOCKETS else 401)
    assert running.proxy.made == before + 1
    assert subscriber.events == []


async def test_all_come_back_to_a_server_that_was_stopped_and_started(folder, running):
    """A stop ends streams politely, sockets with 1012; the server leaves with 0, and nobody misses what comes after."""
    async with all_of_them(running, folder) as subscribers:
        id = await running.create()
        for subscriber in subscribers:
            await subscriber.receive("CREATED")
        assert await running.server.stop() == 0
        running.proxy.is_down = True
        await running.server.start()
        await running.publish(id)
        running.proxy.open()
        for subscriber in subscribers:
            await subscriber.receive("CREATED", "PUBLISHED")
        await running.like(id)
        received = [await subscriber.receive("CREATED", "PUBLISHED", "LIKED") for subscriber in subscribers]
    assert all(ids == received[0] for ids in received)
    assert [subscriber.closed[0] for subscriber in subscribers if subscriber.client in SOCKETS] == [1012, 1012]


async def test_all_are_sent_away_when_their_viewer_signs_out(folder, running):
    """Sockets with 4401, streams with the code of the refusal; nothing is heard after that."""
    async with all_of_them(running, folder) as subscribers:
        await running.create()
        for subscriber in subscribers:
            await subscriber.receive("CREATED")
        await running.sign_out()
        assert {subscriber.client: await subscriber.get_failure() for subscriber in subscribers} == {
            "graphql-ws": 4401,
            "graphql-sse": "UNAUTHORIZED",
            "apollo": 4401,
            "eventsource": "UNAUTHORIZED",
        }
    assert all(len(subscriber.events) == 1 for subscriber in subscribers)


@asynccontextmanager
async def all_of_them(running, folder):
    """A follower of each kind, its viewer the author."""
    async with AsyncExitStack() as stack:
        token = running.author.access_token
        yield [await stack.enter_async_context(running.subscribe(client, folder, token=token)) for client in CLIENTS]
