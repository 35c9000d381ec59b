"""Sending to a client that may be slow."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from gateway.live.stepping import begun

STALL = 10.0
"""Seconds that a client may take over what it was sent, before it is disconnected, and resumes from its cursor."""


async def taken(sending: Coroutine[Any, Any, None]) -> None:
    """Wait until there is room for it, as there mostly is at once. Raises TimeoutError for who makes none in time."""
    remaining = begun(sending)
    if remaining is not None:
        async with asyncio.timeout(STALL):
            await remaining
