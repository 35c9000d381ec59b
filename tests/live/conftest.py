"""What tests of streams ask for.

live          a server on a socket, on either database in turn, empty (listening.py: `Listening`)
listen        `await listen(url, max_streams_per_viewer=2, …)`: others, stopped when the test ends
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.live.listening import Listening, listening


@pytest.fixture
async def listen(anyio_backend: str) -> AsyncIterator[Callable[..., Awaitable[Listening]]]:
    async with AsyncExitStack() as stack:

        async def start(database_url: str, **settings: Any) -> Listening:
            return await stack.enter_async_context(listening(database_url, **settings))

        yield start


@pytest.fixture
async def live(database_url: str, listen: Callable[..., Awaitable[Listening]]) -> Listening:
    return await listen(database_url)
