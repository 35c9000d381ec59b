"""The trusted documents as a server knows them: those of the database, looked at again every few seconds."""

import time
from collections import OrderedDict
from typing import NamedTuple

from models import Database
from models.errors import Unavailable
from resolvers.trusted_documents import get_trusted

CACHE_SECONDS = 5.0
"""Seconds for which what the database said is believed: a document that was added or removed is so by then."""
MOST_KNOWN = 5_000
LONGEST_ID = 200
PREFIX = "sha256:"


class CachedDocument(NamedTuple):
    text: str | None
    until: float


class TrustedDocuments:
    """Texts by id, or by the SHA-256 of the text."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.known: OrderedDict[str, CachedDocument] = OrderedDict()

    async def text(self, id: str) -> str | None:
        """A document's text; None if it is not trusted. While the database is away, what it said last holds."""
        key = id.removeprefix(PREFIX)
        known = self.known.get(key)
        if known and known.until > time.monotonic():
            return known.text
        if not is_id(key):
            return None
        try:
            return self.cache(key, await get_trusted(self.db, key))
        except Unavailable:
            if known and known.text:
                return known.text
            raise

    def cache(self, key: str, text: str | None) -> str | None:
        self.known[key] = CachedDocument(text, time.monotonic() + CACHE_SECONDS)
        self.known.move_to_end(key)
        if len(self.known) > MOST_KNOWN:
            self.known.popitem(last=False)
        return text


def is_id(text: str) -> bool:
    """Whether there may be a document of that id."""
    return 0 < len(text) <= LONGEST_ID and text.isprintable() and " " not in text
