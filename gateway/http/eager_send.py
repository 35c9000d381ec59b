"""Running a coroutine by hand, up to its first wait: most sends to a socket have none, and so need no task."""

import asyncio
from collections.abc import Awaitable, Coroutine, Generator
from functools import partial
from types import coroutine
from typing import Any

SEND_TIMEOUT = 10.0
"""Seconds that a client may take over what it was sent, before it is disconnected, and resumes from its cursor."""


def send_eagerly(work: Coroutine[Any, Any, None]) -> Awaitable[None] | None:
    """Do what can be done at once; what is left of it, to be awaited, or None if nothing is."""
    try:
        waits_for = work.send(None)
    except StopIteration:
        return None
    return resume(work, waits_for)


@coroutine
def resume(work: Coroutine[Any, Any, None], waits_for: Any) -> Generator[Any, Any, None]:
    while True:
        try:
            answer = yield waits_for
        except BaseException as error:
            step = partial(work.throw, error)
        else:
            step = partial(work.send, answer)
        try:
            waits_for = step()
        except StopIteration:
            return


async def send_with_timeout(sending: Coroutine[Any, Any, None]) -> None:
    """Wait until there is room for it, as there mostly is at once. Raises TimeoutError for who makes none in time."""
    remaining = send_eagerly(sending)
    if remaining is not None:
        async with asyncio.timeout(SEND_TIMEOUT):
            await remaining
