"""The broker of a process that is alone."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext


def nobody() -> None:
    """Wakes no one."""


class InProcess:
    """Wakes its own process, at once."""

    def __init__(self) -> None:
        self.wake: Callable[[], None] = nobody

    def announce(self) -> None:
        self.wake()

    def listening(self, wake: Callable[[], None]) -> AbstractAsyncContextManager[None]:
        self.wake = wake
        return nullcontext()
