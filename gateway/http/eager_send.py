"""Sends to a socket without a task: most sends do not wait, so the coroutine runs to its end at once."""

import asyncio
from collections.abc import Awaitable, Coroutine, Generator
from functools import partial
from types import coroutine
from typing import Any

SEND_TIMEOUT_SECONDS = 10.0
"""Time that a client has to receive a message before it is disconnected; it can resume from its cursor."""


def send_eagerly(send: Coroutine[Any, Any, None]) -> Awaitable[None] | None:
    """Run a coroutine to its first wait. Return the rest as an awaitable, or None if it has ended."""
    try:
        waits_for = send.send(None)
    except StopIteration:
        return None
    return resume(send, waits_for)


@coroutine
def resume(send: Coroutine[Any, Any, None], waits_for: Any) -> Generator[Any, Any, None]:
    """Continue a coroutine that yielded `waits_for`."""
    while True:
        try:
            value = yield waits_for
        except BaseException as error:
            step = partial(send.throw, error)
        else:
            step = partial(send.send, value)
        try:
            waits_for = step()
        except StopIteration:
            return


async def send_with_timeout(send: Coroutine[Any, Any, None]) -> None:
    """Send, and wait until the socket has room. Raises `TimeoutError` after `SEND_TIMEOUT_SECONDS`."""
    remaining = send_eagerly(send)
    if remaining is not None:
        async with asyncio.timeout(SEND_TIMEOUT_SECONDS):
            await remaining
