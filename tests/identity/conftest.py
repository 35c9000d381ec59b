"""What tests of identity ask for: besides what all may, the servers on sockets of tests/live.

provider      an identity provider on a socket (support/provider.py: `IdentityProvider`)
trusting      a server that believes it, on either database in turn
"""

from collections.abc import AsyncIterator

import pytest

from tests.live.conftest import listen, live
from tests.support.provider import IdentityProvider, identity_provider
from tests.support.servers import Server

__all__ = ["listen", "live"]


@pytest.fixture
async def provider(anyio_backend: str) -> AsyncIterator[IdentityProvider]:
    async with identity_provider() as provider:
        yield provider


@pytest.fixture
async def trusting(provider: IdentityProvider, make_server) -> Server:
    return await make_server(**provider.settings)
