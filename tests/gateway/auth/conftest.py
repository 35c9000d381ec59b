"""Fixtures of the authentication tests.

provider      an identity provider on a socket (support/identity_provider.py)
trusting      a server that accepts its tokens, on each database in turn
"""

from collections.abc import AsyncIterator

import pytest

from tests.support.identity_provider import IdentityProvider, identity_provider
from tests.support.servers import Server


@pytest.fixture
async def provider(anyio_backend: str) -> AsyncIterator[IdentityProvider]:
    async with identity_provider() as provider:
        yield provider


@pytest.fixture
async def oidc_server(provider: IdentityProvider, make_server) -> Server:
    return await make_server(**provider.settings)
