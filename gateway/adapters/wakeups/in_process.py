"""The broker of a process that is alone."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext


def noop() -> None:
    """Wakes no one."""


class InProcessWakeup:
    """Wakes its own process, at once."""

    def __init__(self) -> None:
        self.wake: Callable[[], None] = noop

    def announce(self) -> None:
        self.wake()

    def listening(self, wake: Callable[[], None]) -> AbstractAsyncContextManager[None]:
        self.wake = wake
        return nullcontext()
