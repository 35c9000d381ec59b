"""Wake-ups within a single process."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext


def noop() -> None:
    """Do nothing: the callback until `listen` sets one."""


class InProcessWakeup:
    """Calls this process's callback directly."""

    def __init__(self) -> None:
        self.wake: Callable[[], None] = noop

    def notify(self) -> None:
        self.wake()

    def listen(self, wake: Callable[[], None]) -> AbstractAsyncContextManager[None]:
        self.wake = wake
        return nullcontext()
