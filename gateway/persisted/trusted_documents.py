"""A cache of the trusted documents, which are read from the database again every few seconds."""

import time
from typing import NamedTuple

from gateway.graphql.cache.lru import LRUCache
from models import Database
from models.errors import Unavailable
from resolvers.trusted_documents import get_trusted

CACHE_SECONDS = 5.0
"""The time after which every process sees that a document was added or removed."""
MAX_CACHED_DOCUMENTS = 5_000
MAX_ID_LENGTH = 200
ID_PREFIX = "sha256:"


class CachedDocument(NamedTuple):
    """A document's text, None if it is not trusted, and the `time.monotonic` at which the entry expires."""

    text: str | None
    expires_at: float


class TrustedDocuments:
    """The texts of trusted documents by id, or by the SHA-256 of the text."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.cache: LRUCache[CachedDocument] = LRUCache(MAX_CACHED_DOCUMENTS)

    async def get_text(self, id: str) -> str | None:
        """Return a document's text; None if it is not trusted. Expired entries serve while the database is away."""
        key = id.removeprefix(ID_PREFIX)
        cached = self.cache.get(key)
        if cached and cached.expires_at > time.monotonic():
            return cached.text
        if not is_id(key):
            return None
        try:
            text = await get_trusted(self.db, key)
        except Unavailable:
            if cached and cached.text:
                return cached.text
            raise
        self.cache.put(key, CachedDocument(text, time.monotonic() + CACHE_SECONDS))
        return text


def is_id(text: str) -> bool:
    """Return True if the text is a possible id of a document."""
    return 0 < len(text) <= MAX_ID_LENGTH and text.isprintable() and " " not in text
