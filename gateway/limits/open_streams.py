"""The open streams of this process: counted, limited for each key, and ended together at shutdown."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from models.errors import RateLimited, Unavailable

RETRY_AFTER_SECONDS = 5
"""`Retry-After` for a client with too many streams. When one of them ends cannot be known."""

RETRY_RANGE_MS = 2000, 5000
"""Range of the reconnection delay that each stream sends to its client at shutdown.

The delays differ so that the clients do not all come back at once. The shortest is longer than the server keeps
answering: a browser's `EventSource` that gets a 503 never reconnects.
"""


class OpenStreams:
    """Open subscriptions, feeds, chats and WebSockets of one process."""

    def __init__(self, max_per_key: int) -> None:
        self.max_per_key = max_per_key
        self.by_key: Counter[str] = Counter()
        self.draining: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done once the server is shutting down: every stream then ends with a proper last message."""

    @property
    def is_draining(self) -> bool:
        return self.draining.done()

    @property
    def count(self) -> int:
        return self.by_key.total()

    @contextmanager
    def open(self, key: str) -> Iterator[None]:
        """Count a stream for the duration of the block; `key` is that of the rate limits.

        Raises `Unavailable` during shutdown and `RateLimited` if the key has too many streams.
        """
        if self.is_draining:
            raise Unavailable("The server is shutting down; connect again")
        if self.by_key[key] >= self.max_per_key:
            raise RateLimited(RETRY_AFTER_SECONDS)
        self.by_key[key] += 1
        try:
            yield
        finally:
            self.by_key[key] -= 1
            if not self.by_key[key]:
                del self.by_key[key]

    def drain(self) -> None:
        """Reject new streams and end the open ones."""
        if not self.is_draining:
            self.draining.set_result(None)
