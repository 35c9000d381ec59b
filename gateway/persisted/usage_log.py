"""The ledger, as a server keeps it: in memory while it answers, and in the database now and then."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from gateway.persisted.client_info import Client
from gateway.tasks.periodic import run_periodically
from models import Database, utcnow
from models.errors import Unavailable
from resolvers import document_usage
from resolvers.document_usage import DocumentText, UsageCount, UsageKey

OFTEN = 10.0
"""Seconds between two writings."""
MAX_BUFFERED = 2_000
MAX_DOCUMENT_LENGTH = 100_000
"""Characters of a document that is noted."""


class UsageLog:
    """What was asked since the last writing. While the database is away it waits, as far as there is room."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.lines: dict[UsageKey, UsageCount] = {}
        self.texts: dict[str, DocumentText] = {}

    def record(self, sha256: str, text: DocumentText, client: Client) -> None:
        """Note that a client asked for a valid document."""
        if len(text.body) <= MAX_DOCUMENT_LENGTH:
            self.add(UsageKey(sha256, *client), UsageCount(1, utcnow()), text)

    def add(self, line: UsageKey, times: UsageCount, text: DocumentText) -> None:
        noted = self.lines.get(line)
        if noted is not None:
            noted.times += times.times
            noted.last_used_at = max(noted.last_used_at, times.last_used_at)
        elif len(self.lines) < MAX_BUFFERED:
            self.lines[line] = times
            self.texts[line.sha256] = text

    async def write(self) -> None:
        """Write what waits; where that fails, or is broken off, it goes on waiting."""
        lines, texts, self.lines, self.texts = self.lines, self.texts, {}, {}
        if not lines:
            return
        try:
            await document_usage.record(self.db, lines, texts)
        except BaseException:
            for line, times in lines.items():
                self.add(line, times, texts[line.sha256])
            raise

    @asynccontextmanager
    async def running(self) -> AsyncIterator["UsageLog"]:
        """Write in the background, and once more at the end."""
        async with run_periodically(self.write, OFTEN, "Writing the ledger"):
            yield self
        with suppress(Unavailable):
            await self.write()
