"""Automatic persisted queries, by Apollo's protocol: a client sends a hash, and the document only if it is not known.

They are this process's own. What another process knows is not worth asking for: the client sends it again, once.
"""

from collections import OrderedDict

HEAVIEST = 8 * 2**20
"""Bytes, or so, of all that is kept."""


class PersistedQueryCache:
    """The documents asked for last, by the SHA-256 of their texts, up to so many and so heavy."""

    def __init__(self, most: int) -> None:
        self.most, self.weight = most, 0
        self.texts: OrderedDict[str, str] = OrderedDict()

    def get(self, sha256: str) -> str | None:
        text = self.texts.get(sha256)
        if text is not None:
            self.texts.move_to_end(sha256)
        return text

    def keep(self, sha256: str, text: str) -> None:
        if sha256 not in self.texts:
            self.texts[sha256] = text
            self.weight += len(text)
        while len(self.texts) > self.most or self.weight > HEAVIEST:
            _, dropped = self.texts.popitem(last=False)
            self.weight -= len(dropped)
