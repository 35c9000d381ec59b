"""How many streams are open: counted, capped for each caller, and ended together when the server goes."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from models.errors import RateLimited, Unavailable

RETRY_AFTER = 5
"""Seconds after which a caller with too many streams may look whether one of them has ended."""


class Streams:
    """The open streams of this process, whatever their transport."""

    def __init__(self, most: int) -> None:
        """`most`: how many a caller may have open at once."""
        self.most = most
        self.by_caller: Counter[str] = Counter()
        self.draining: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the server has been told to stop: streams end, soon and politely."""

    @property
    def is_draining(self) -> bool:
        return self.draining.done()

    @property
    def count(self) -> int:
        """How many are open."""
        return self.by_caller.total()

    @contextmanager
    def open(self, caller: str) -> Iterator[None]:
        """One more stream of a caller's (`Visit.caller`), for the scope. Refuses with `Unavailable`, `RateLimited`."""
        if self.is_draining:
            raise Unavailable("The server is going down; connect again, and another will answer")
        if self.by_caller[caller] >= self.most:
            raise RateLimited(RETRY_AFTER)
        self.by_caller[caller] += 1
        try:
            yield
        finally:
            self.by_caller[caller] -= 1
            if not self.by_caller[caller]:
                del self.by_caller[caller]

    def drain(self) -> None:
        """Take no more, and have those that are open end."""
        if not self.is_draining:
            self.draining.set_result(None)
