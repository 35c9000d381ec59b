"""Buffered writes of `last_used_at`: outside the requests, and once a minute for each key at most."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

from gateway.tasks.periodic import run_in_background
from models import Database, utcnow
from models.errors import APIError
from resolvers import api_keys

WRITE_INTERVAL_SECONDS = 1.0

logger = logging.getLogger("gateway.auth")


class ApiKeyUsage:
    """The uses of API keys that this process has not written yet."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.next_write: dict[UUID, float] = {}
        """Monotonic time from which a key's use is recorded again."""
        self.unwritten: dict[UUID, datetime] = {}
        self.pending_event = asyncio.Event()

    def record(self, key_id: UUID) -> None:
        """Record that a key has just been used."""
        now = time.monotonic()
        if now >= self.next_write.get(key_id, 0.0):
            self.next_write[key_id] = now + api_keys.USE_RESOLUTION.total_seconds()
            self.unwritten[key_id] = utcnow()
            self.pending_event.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["ApiKeyUsage"]:
        """Write in the background while in the scope, and write the rest on leaving it."""
        async with run_in_background(self._loop(), "record the use of API keys"):
            yield self
        await self.write()

    async def _loop(self) -> None:
        while True:
            await self.pending_event.wait()
            await self.write()
            await asyncio.sleep(WRITE_INTERVAL_SECONDS)

    async def write(self) -> None:
        """Write the recorded uses. A failed write is dropped: the key's next use comes within a minute."""
        used_at, self.unwritten = self.unwritten, {}
        self.pending_event.clear()
        try:
            if used_at:
                await api_keys.record_use(self.db, used_at)
        except APIError as error:
            logger.warning("Could not write when API keys were used: %s", error.message)
        except Exception:
            logger.exception("Could not write when API keys were used")
