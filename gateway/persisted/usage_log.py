"""Counts of document usage by client, collected in memory and written to the database periodically."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from gateway.persisted.client_info import Client
from gateway.tasks.periodic import run_periodically
from models import Database, utcnow
from models.errors import Unavailable
from resolvers import document_usage
from resolvers.document_usage import DocumentText, UsageCount, UsageKey

WRITE_INTERVAL_SECONDS = 10.0
MAX_BUFFERED = 2_000
MAX_DOCUMENT_LENGTH = 100_000
"""Characters of a document whose use is recorded."""


class UsageLog:
    """The usage since the last write. It stays buffered, up to a limit, while the database is unavailable."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.counts: dict[UsageKey, UsageCount] = {}
        self.texts: dict[str, DocumentText] = {}

    def record(self, sha256: str, text: DocumentText, client: Client) -> None:
        """Count one use of a valid document by a client."""
        if len(text.body) <= MAX_DOCUMENT_LENGTH:
            self.add(UsageKey(sha256, *client), UsageCount(1, utcnow()), text)

    def add(self, key: UsageKey, count: UsageCount, text: DocumentText) -> None:
        buffered = self.counts.get(key)
        if buffered is not None:
            buffered.times += count.times
            buffered.last_used_at = max(buffered.last_used_at, count.last_used_at)
        elif len(self.counts) < MAX_BUFFERED:
            self.counts[key] = count
            self.texts[key.sha256] = text

    async def write(self) -> None:
        """Write the buffered counts, which stay buffered if writing fails or is cancelled."""
        counts, texts, self.counts, self.texts = self.counts, self.texts, {}, {}
        if not counts:
            return
        try:
            await document_usage.record(self.db, counts, texts)
        except BaseException:
            for key, count in counts.items():
                self.add(key, count, texts[key.sha256])
            raise

    @asynccontextmanager
    async def running(self) -> AsyncIterator["UsageLog"]:
        """Write in the background, and once more at the end."""
        async with run_periodically(self.write, WRITE_INTERVAL_SECONDS, "write document usage"):
            yield self
        with suppress(Unavailable):
            await self.write()
