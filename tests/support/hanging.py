"""Where a test that hangs waits. pytest ends it (`faulthandler_timeout`) and shows its threads, but not its tasks."""

import asyncio
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer
from typing import Any

import pytest


@contextmanager
def report_if_hanging(item: pytest.Item, seconds: float) -> Iterator[None]:
    """Tell of the tasks there are if the scope takes so many seconds."""
    timer = Timer(seconds, print_tasks, (item, seconds))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def print_tasks(item: pytest.Item, seconds: float) -> None:
    gc.unfreeze()  # the gateway froze what was there when it started, which hides it from this list
    tasks = [task for task in gc.get_objects() if isinstance(task, asyncio.Task) and not task.done()]
    waiting = "\n".join(f"  {task.get_name()}: {' → '.join(walk_awaits(task.get_coro()))}" for task in tasks)
    with item.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\n{item.nodeid} has taken {seconds:.0f} s; these tasks wait:\n{waiting}", file=sys.stderr, flush=True)


def walk_awaits(step: Any) -> Iterator[str]:
    """From a coroutine to what it waits for in the end."""
    while step is not None:
        frame = getattr(step, "cr_frame", None) or getattr(step, "gi_frame", None) or getattr(step, "ag_frame", None)
        yield f"{frame.f_code.co_qualname}:{frame.f_lineno}" if frame else repr(step)
        awaited = (getattr(step, name, None) for name in ("cr_await", "gi_yieldfrom", "ag_await"))
        step = next(filter(None, awaited), None)
