"""Running a coroutine by hand, up to its first wait: most sends to a socket have none, and so need no task."""

from collections.abc import Awaitable, Coroutine, Generator
from functools import partial
from types import coroutine
from typing import Any


def begun(work: Coroutine[Any, Any, None]) -> Awaitable[None] | None:
    """Do what can be done at once; what is left of it, to be awaited, or None if nothing is."""
    try:
        waits_for = work.send(None)
    except StopIteration:
        return None
    return rest(work, waits_for)


@coroutine
def rest(work: Coroutine[Any, Any, None], waits_for: Any) -> Generator[Any, Any, None]:
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
