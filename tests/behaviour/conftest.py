"""Posts to begin with."""

from typing import Any

import pytest

from tests.support.accounts import Account
from tests.support.callers import GraphQL
from tests.support.servers import Server
from tests.support.writing import CONTENT


@pytest.fixture
async def draft(anyio_backend: str, server: Server, author: Account) -> dict[str, Any]:
    """A draft of the author's."""
    return await GraphQL(server.anonymous).create(author, title="A draft", content=CONTENT)


@pytest.fixture
async def published(anyio_backend: str, server: Server, author: Account) -> dict[str, Any]:
    """A published post of the author's."""
    return await GraphQL(server.anonymous).create(author, title="A published post", content=CONTENT, status="PUBLISHED")
