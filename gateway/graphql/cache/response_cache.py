"""Answers that were given, to be given again until something that they depend on has happened.

Time is counted in changes. A reading notes the count before its statement is sent, and what it found holds for as
long as nothing that it depends on has changed since: what a commit overtook is not kept, however late it comes.

Changes are told twice. Each transaction of this server tells what it wrote before its own answer is sent; and the event
log tells what others wrote, as soon as a row of it is seen, whether or not an earlier one is still to come.
"""

import time
from collections import OrderedDict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from gateway.graphql.cache.dependencies import ANY_POST, Dependency
from gateway.graphql.cache.lru import LRUCache
from gateway.graphql.planning.parameters import Values
from gateway.graphql.planning.plan import Plan
from gateway.http.conditional import CacheControl
from models import Viewer
from models.events import BULK_CHANGE, PRUNED

MOST = 20_000
"""Answers, however small."""
MOST_CHANGES = 10_000
"""Changes that are remembered one by one; what was read before the oldest of them holds no longer."""
LIFETIME = 60.0
"""Seconds after which an answer is read anew, for who changes rows by hand tells nobody."""
SILENCE = 5.0
"""Seconds for which the log may be unheard of: after that nobody knows what holds, and nothing is taken from here."""
OVERHEAD = 1_000
"""Bytes that an answer takes beside its own."""


class ChangeEvent(Protocol):
    """A row of the event log, or an event that was just written to it."""

    id: int
    type: str
    post_id: UUID | None


@dataclass(frozen=True, slots=True)
class CacheTicket:
    """What a statement that is about to be sent will show."""

    version: int
    dependencies: tuple[Dependency, ...] | None
    """None of what must not be kept."""
    viewer: Hashable
    """Those whom it is good for: one viewer, or all of a role."""
    reuse: CacheControl


class CacheEntry(NamedTuple):
    """An answer, and when it was true."""

    value: Any
    size: int
    reading: CacheTicket
    until: float


class ResponseCache(LRUCache[CacheEntry]):
    """Of one server, by what was asked and by whom."""

    def __init__(self, bytes: int = 0) -> None:
        """`bytes`: how much may be kept; 0 keeps nothing."""
        super().__init__(MOST, bytes, lambda key, answer: answer.size)
        self.version = self.cleared_at = 0
        self.changes: OrderedDict[Dependency, int] = OrderedDict()
        """What has changed, and when last; all before `cleared_at` is forgotten, and everything may have."""
        self.seen_ids: set[int] = set()
        """The ids of events beyond where the log stands that are known already."""
        self.heard_at = 0.0

    @property
    def seconds_since_log_read(self) -> float:
        """Seconds since the log was last read to its end."""
        return time.monotonic() - self.heard_at

    def get(self, asked: Hashable, viewer: Viewer | None) -> Any | None:
        """What was answered to the same question, if that still holds: to anybody of the viewer's role, or to them."""
        value = self.peek(asked, viewer)
        if value is None:
            self.misses += 1
        return value

    def peek(self, asked: Hashable, viewer: Viewer | None) -> Any | None:
        """The same, for who would ask once more."""
        found = self.values.get((asked, viewer and viewer.role)) or (viewer and self.values.get((asked, viewer)))
        now = time.monotonic()
        if not found or not self.is_fresh(found.reading) or now > found.until or now > self.heard_at + SILENCE:
            return None
        self.hits += 1
        self.values.move_to_end((asked, found.reading.viewer))
        return found.value

    def reading(self, plan: Plan, values: Values, viewer: Viewer | None) -> CacheTicket:
        """To be called before the statement is sent."""
        dependencies = plan.dependencies.for_request(values) if self.max_weight else None
        if plan.is_personal and not plan.hint.per_viewer:
            dependencies = None
        reuse = CacheControl(plan.hint.max_age, plan.hint.is_private or plan.is_personal)
        return CacheTicket(self.version, dependencies, viewer if plan.is_personal else viewer and viewer.role, reuse)

    def put(self, asked: Hashable, reading: CacheTicket | None, value: Any, size: int) -> None:
        """Keep an answer, if what was read for it still holds."""
        if reading and reading.dependencies is not None and self.is_fresh(reading):
            remembered = CacheEntry(value, size + OVERHEAD, reading, time.monotonic() + LIFETIME)
            super().put((asked, reading.viewer), remembered)

    def is_fresh(self, reading: CacheTicket) -> bool:
        """Whether nothing that it depends on has changed since it began."""
        moment = reading.version
        return moment >= self.cleared_at and all(self.changes.get(each, 0) <= moment for each in reading.dependencies)

    def on_commit(self, events: Iterable[ChangeEvent]) -> None:
        """A transaction of this server has committed these. The log will tell of them too, when it is read."""
        for event in events:
            self.on_event(event)
            self.seen_ids.add(event.id)

    def on_uncertain_commit(self, events: Iterable[ChangeEvent]) -> None:
        """Nobody knows whether these were committed. Should the log tell of their ids, that is news: the commit may
        come after whoever reads meanwhile, and SQLite gives an id that was given up to somebody else.
        """
        for event in events:
            self.on_event(event)

    def on_log_rows(self, rows: Iterable[ChangeEvent], position: int, *, complete_at: float | None) -> None:
        """Rows of the log, up to `position` settled; `complete_at` is when they were all that there was."""
        for row in rows:
            if row.id not in self.seen_ids:
                self.on_event(row)
        self.seen_ids = {id for id in self.seen_ids.union(row.id for row in rows) if id > position}
        if complete_at is not None:
            self.heard_at = complete_at

    def on_event(self, event: ChangeEvent) -> None:
        """Where pruning went beyond what was heard, it says nothing of what it forgot: so it touches everything too."""
        self.version += 1
        if event.type in (BULK_CHANGE, PRUNED):
            self.clear()
        elif event.post_id is not None:
            self.mark_changed(ANY_POST)
            self.mark_changed(event.post_id)

    def mark_changed(self, changed: Dependency) -> None:
        self.changes[changed] = self.version
        self.changes.move_to_end(changed)
        if len(self.changes) > MOST_CHANGES:
            _, self.cleared_at = self.changes.popitem(last=False)

    def clear(self) -> None:
        """Anything may have changed."""
        self.version += 1
        self.cleared_at = self.version
        self.changes.clear()
        self.seen_ids.clear()
        self.values.clear()
        self.weight = 0
