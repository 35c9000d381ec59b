"""A cache of responses that are valid until an event changes something that they depend on.

Versions count changes. A read notes the version before its statement is sent, and its result is valid while none of its
dependencies has a later version. So a result that a commit overtook is not cached, however late it arrives.

Changes arrive twice. Each transaction of this server reports its events before its own response is sent. The event log
reports those of other servers as soon as a row is seen, even if a row with a lower id has not been committed yet.
"""

import time
from collections import OrderedDict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from gateway.graphql.cache.dependencies import ANY_ENTITY, Dependency
from gateway.graphql.cache.lru import LRUCache
from gateway.graphql.planning.parameters import Values
from gateway.graphql.planning.plan import Plan
from gateway.http.conditional import CacheControl
from models import Viewer
from models.events import BULK_CHANGE, PRUNED

MAX_ENTRIES = 20_000
MAX_CHANGES = 10_000
"""Dependencies whose last change is recorded; entries older than the oldest of them are invalid."""
ENTRY_LIFETIME_SECONDS = 60.0
"""A manual change of a row writes no event, so its effect is seen after this time."""
LOG_TIMEOUT_SECONDS = 5.0
"""The cache is bypassed if the event log has not been read for this time, because changes may be unknown."""
ENTRY_OVERHEAD_BYTES = 1_000


class ChangeEvent(Protocol):
    """A row of the event log, or an event that was just written to it."""

    id: int
    type: str
    post_id: UUID | None


@dataclass(frozen=True, slots=True)
class CacheTicket:
    """A description of a read, created before its statement is sent, with which its result can be cached."""

    version: int
    dependencies: tuple[Dependency, ...] | None
    """None if the result must not be cached."""
    viewer: Hashable
    """The viewer, or the role of all viewers, that the result is valid for."""
    cache_control: CacheControl


class CacheEntry(NamedTuple):
    """A cached value, its size in bytes and the `time.monotonic` at which it expires."""

    value: Any
    size: int
    ticket: CacheTicket
    expires_at: float


class ResponseCache:
    """Cached values of one server, by key and by viewer or role."""

    def __init__(self, max_bytes: int = 0) -> None:
        """`max_bytes`: 0 disables the cache."""
        self.lru: LRUCache[CacheEntry] = LRUCache(MAX_ENTRIES, max_bytes, lambda key, entry: entry.size)
        self.is_enabled = max_bytes > 0
        self.version = self.cleared_at = 0
        self.changes: OrderedDict[Dependency, int] = OrderedDict()
        """The version of the last change of each dependency; tickets from before `cleared_at` are invalid."""
        self.seen_ids: set[int] = set()
        """The ids of events beyond the log's position that were processed already."""
        self.log_read_at = 0.0

    @property
    def seconds_since_log_read(self) -> float:
        """The time since the log was last read to its end."""
        return time.monotonic() - self.log_read_at

    def get(self, key: Hashable, viewer: Viewer | None) -> Any | None:
        """Return the value cached for the viewer's role, or for the viewer, if it is still valid."""
        value = self.peek(key, viewer)
        if value is None:
            self.lru.misses += 1
        return value

    def peek(self, key: Hashable, viewer: Viewer | None) -> Any | None:
        """Return the value as `get` does, but do not count a miss."""
        values = self.lru.values
        entry = values.get((key, viewer and viewer.role)) or (viewer and values.get((key, viewer)))
        if not entry or not self.is_fresh(entry.ticket):
            return None
        now = time.monotonic()
        if now > entry.expires_at or now > self.log_read_at + LOG_TIMEOUT_SECONDS:
            return None
        return self.lru.get((key, entry.ticket.viewer)).value

    def create_ticket(self, plan: Plan, values: Values, viewer: Viewer | None) -> CacheTicket:
        """Create the ticket of a read. Call it before the statement is sent."""
        dependencies = plan.dependencies.for_request(values) if self.is_enabled else None
        if plan.is_personal and not plan.cache_policy.per_viewer:
            dependencies = None
        cache_control = CacheControl(plan.cache_policy.max_age, plan.cache_policy.is_private or plan.is_personal)
        valid_for = viewer if plan.is_personal else viewer and viewer.role
        return CacheTicket(self.version, dependencies, valid_for, cache_control)

    def put(self, key: Hashable, ticket: CacheTicket | None, value: Any, size: int) -> None:
        """Cache a value of `size` bytes, unless a dependency changed since its ticket was created."""
        if ticket and ticket.dependencies is not None and self.is_fresh(ticket):
            expires_at = time.monotonic() + ENTRY_LIFETIME_SECONDS
            self.lru.put((key, ticket.viewer), CacheEntry(value, size + ENTRY_OVERHEAD_BYTES, ticket, expires_at))

    def is_fresh(self, ticket: CacheTicket) -> bool:
        """Return True if no dependency has changed since the ticket was created."""
        version = ticket.version
        return version >= self.cleared_at and all(self.changes.get(each, 0) <= version for each in ticket.dependencies)

    def on_commit(self, events: Iterable[ChangeEvent]) -> None:
        """Process the events that a transaction of this server committed. The log will report them again."""
        for event in events:
            self.on_event(event)
            self.seen_ids.add(event.id)

    def on_uncertain_commit(self, events: Iterable[ChangeEvent]) -> None:
        """Process events whose commit may have failed, but do not skip their ids when the log reports them.

        The commit may succeed after a later read, and SQLite reuses the ids of a rolled-back transaction.
        """
        for event in events:
            self.on_event(event)

    def on_log_rows(self, rows: Iterable[ChangeEvent], position: int, *, complete_at: float | None) -> None:
        """Process rows of the log, which is complete up to the id `position`.

        `complete_at` is the `time.monotonic` at which these rows were all that existed; None if there are more.
        """
        for row in rows:
            if row.id not in self.seen_ids:
                self.on_event(row)
        self.seen_ids = {id for id in self.seen_ids.union(row.id for row in rows) if id > position}
        if complete_at is not None:
            self.log_read_at = complete_at

    def on_event(self, event: ChangeEvent) -> None:
        """Invalidate what an event changed: everything, if rows of the log were pruned before they were read."""
        self.version += 1
        if event.type in (BULK_CHANGE, PRUNED):
            self.clear()
        elif event.post_id is not None:
            self.mark_changed(ANY_ENTITY)
            self.mark_changed(event.post_id)

    def mark_changed(self, dependency: Dependency) -> None:
        self.changes[dependency] = self.version
        self.changes.move_to_end(dependency)
        if len(self.changes) > MAX_CHANGES:
            _, self.cleared_at = self.changes.popitem(last=False)

    def clear(self) -> None:
        """Invalidate everything."""
        self.version += 1
        self.cleared_at = self.version
        self.changes.clear()
        self.seen_ids.clear()
        self.lru.clear()
