"""Graceful shutdown: end the open streams first, as uvicorn waits for every connection to close."""

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import parent_process
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from gateway.limits.open_streams import OpenStreams

DRAIN_DELAY_SECONDS = 1.0
"""How long the server keeps answering after a signal, so that load balancers see its failing readiness check."""


def create_app() -> FastAPI:
    """Create the application that `gateway serve` runs. It shuts down gracefully, and with its parent process."""
    from gateway import app  # here, because the supervisor's own process does not need the application

    exit_with_parent()
    return app.create_app(while_running=drain_on_signal)


def exit_with_parent() -> None:
    """Send this process SIGTERM when its supervisor dies, which could then neither stop nor replace it."""
    parent = parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="exit-with-parent", daemon=True).start()


@contextmanager
def drain_on_signal(streams: OpenStreams) -> Iterator[None]:
    """Drain the streams when uvicorn gets a signal to stop, and pass the signal on after `DRAIN_DELAY_SECONDS`.

    SIGINT (Ctrl-C) and a second signal are passed on at once.
    """
    handlers = find_uvicorn_handlers()
    loop = asyncio.get_running_loop()

    def drain(number: int, frame: FrameType | None) -> None:
        delay = 0.0 if streams.is_draining or number == signal.SIGINT else DRAIN_DELAY_SECONDS
        loop.call_soon_threadsafe(streams.drain)
        loop.call_soon_threadsafe(loop.call_later, delay, handlers[number], number, None)

    for number in handlers:
        signal.signal(number, drain)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def find_uvicorn_handlers() -> dict[int, Any]:
    """Return the signal handlers that a `uvicorn.Server` in this thread has installed, by signal number."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    installed = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    return {
        number: handler
        for number, handler in installed.items()
        if isinstance(getattr(handler, "__self__", None), uvicorn.Server)
    }
