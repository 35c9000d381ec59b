"""Going without being missed: streams are sent away before the server that they hold open is told to stop."""

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import uvicorn

from gateway.limits.open_streams import OpenStreams

NOTICE = 1.0
"""Seconds for which a server that was told to stop still answers, so that proxies find that it is no longer ready."""
RETRY = 2000, 5000
"""Milliseconds, between which each stream's client is told to come back: all at once would be too many. None comes
while this server still answers: a browser's EventSource that is refused, with 503, never tries again."""


@contextmanager
def heeding(streams: OpenStreams) -> Iterator[None]:
    """Stand before uvicorn, wherever it is the one that signals go to: it would wait for streams that never end.

    An interrupt from the keyboard is passed on at once, as is a second signal.
    """
    handlers = uvicorns()
    loop = asyncio.get_running_loop()

    def heed(number: int, frame: FrameType | None) -> None:
        notice = 0.0 if streams.is_draining or number == signal.SIGINT else NOTICE
        loop.call_soon_threadsafe(streams.drain)
        loop.call_soon_threadsafe(loop.call_later, notice, handlers[number], number, None)

    for number in handlers:
        signal.signal(number, heed)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def uvicorns() -> dict[int, Any]:
    """The handlers of the uvicorn that this process runs for, if it does."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    found = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    return {
        number: handler
        for number, handler in found.items()
        if isinstance(getattr(handler, "__self__", None), uvicorn.Server)
    }
