"""Connections that have ended leave nothing behind, and a crowd of them has memory given back."""

import asyncio
import gc
import weakref
from urllib.parse import urlsplit

import pytest

from gateway.server import memory
from gateway.server.memory import MANY, Crowd
from tests.live.listening import listening
from tests.support.patience import until

pytestmark = pytest.mark.anyio


async def test_a_connection_that_ends_does_not_wait_for_the_collector(sqlite_url: str) -> None:
    """Whether it said nothing, half a request, or a whole one."""
    half = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
    async with listening(sqlite_url) as live:
        gc.disable()
        try:
            seen = []
            for word in (b"", half, b"GET /api/health HTTP/1.1\r\nHost: x\r\n\r\n"):
                place = urlsplit(live.address)
                _, writer = await asyncio.open_connection(place.hostname, place.port)
                writer.write(word)
                await asyncio.sleep(0.2)
                seen += map(weakref.ref, live.server.server_state.connections)
                writer.transport.abort()
            assert len(seen) >= 3
            await until(lambda: not any(connection() for connection in seen))
        finally:
            gc.enable()


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A word for each time that something was given back."""
    given: list[str] = []
    monkeypatch.setattr(memory, "give_back", lambda: given.append("back"))
    monkeypatch.setattr(memory, "PAUSE", 0.01)
    return given


async def leave(crowd: Crowd, present: set[int], count: int) -> None:
    for _ in range(count):
        present.pop()
        crowd.left(present, ())
    await asyncio.sleep(0.05)


async def test_memory_is_given_back_once_most_of_a_crowd_has_left(given: list[str]) -> None:
    crowd, present = Crowd(), set()
    for number in range(2 * MANY):
        present.add(number)
        crowd.came(present)
    await leave(crowd, present, MANY)
    assert given == []
    await leave(crowd, present, MANY // 2)
    await leave(crowd, present, MANY // 2 - 10)
    assert given == ["back"]
    await leave(crowd, present, 10)
    assert given == ["back"]


async def test_few_who_come_and_go_have_nothing_given_back(given: list[str]) -> None:
    crowd, present = Crowd(), set()
    for _ in range(3):
        present |= set(range(MANY))
        crowd.came(present)
        await leave(crowd, present, MANY)
    assert given == []
