"""When API keys were used: noted beside the requests, and for each key once a minute at most."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

from gateway.tasks.periodic import alongside
from models import Database, utcnow
from models.errors import Refusal
from resolvers import api_keys

PAUSE = 1.0
"""Seconds from one writing to the next."""

logger = logging.getLogger("gateway.identity")


class Usage:
    """What this process has yet to write down."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.due: dict[UUID, float] = {}
        """By key, when it is worth noting again, on the clock that never goes back."""
        self.unwritten: dict[UUID, datetime] = {}
        self.is_any = asyncio.Event()

    def note(self, key_id: UUID) -> None:
        """A key has just been used."""
        now = time.monotonic()
        if now >= self.due.get(key_id, 0.0):
            self.due[key_id] = now + api_keys.ONCE_IN.total_seconds()
            self.unwritten[key_id] = utcnow()
            self.is_any.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Usage"]:
        """Write until the scope is left, and what is left then."""
        async with alongside(self.go_on(), "usage of API keys"):
            yield self
        await self.write()

    async def go_on(self) -> None:
        while True:
            await self.is_any.wait()
            await self.write()
            await asyncio.sleep(PAUSE)

    async def write(self) -> None:
        """What cannot be written is let go: it is noted again in a minute."""
        moments, self.unwritten = self.unwritten, {}
        self.is_any.clear()
        try:
            if moments:
                await api_keys.note_used(self.db, moments)
        except Refusal as refusal:
            logger.warning("When API keys were used could not be noted: %s", refusal.message)
        except Exception:
            logger.exception("When API keys were used could not be noted")
