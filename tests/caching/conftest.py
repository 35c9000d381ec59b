"""Posts to begin with, and a second server."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.support.accounts import Account
from tests.support.callers import GraphQL
from tests.support.servers import Server
from tests.support.writing import CONTENT


@pytest.fixture
async def published(anyio_backend: str, server: Server, author: Account) -> dict[str, Any]:
    """A published post of the author's."""
    return await GraphQL(server.anonymous).create(author, title="A published post", content=CONTENT, status="PUBLISHED")


@pytest.fixture
async def uncached(anyio_backend: str, make_server: Callable[..., Awaitable[Server]]) -> Server:
    """Another server on the same database, which keeps no answers."""
    return await make_server(response_cache="off", count_cache="off")
