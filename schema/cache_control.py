"""Declarations for caches: Apollo's `cacheControl` for clients, and what the server's own response cache may store."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from resolvers import posts


class Scope(Enum):
    """The clients that may reuse a cached response."""

    PUBLIC = "PUBLIC"
    """Everyone, unless the response depends on the viewer."""
    PRIVATE = "PRIVATE"
    """Only its viewer. On a field of `Query`, the server caches one response for each viewer."""


@dataclass(frozen=True, slots=True)
class Cache:
    """A policy: `@entity_type(models.Category, cache=Cache(60))` or `field(resolver, cache=Cache(60))`.

    The strictest declaration in a response applies. Without one, clients must revalidate.
    """

    max_age: int = 0
    """Seconds."""
    scope: Scope = Scope.PUBLIC


@dataclass(frozen=True, slots=True)
class CacheableTables:
    """The tables whose rows the server's response cache may store, and how events invalidate them."""

    type_name: str
    """The GraphQL type of the entity that events name."""
    lookup: Callable[..., Any]
    """The resolver that finds one such entity by its argument `id`."""
    covered_by_events: frozenset[str]
    """Each visible change of these tables writes an event about an entity, in the same transaction."""
    static: frozenset[str]
    """No client can change what is shown of these tables. Commands that do (`gateway user promote`, `gateway seed`)
    write a `data.changed` event, which invalidates everything."""


CACHEABLE_TABLES = CacheableTables(
    type_name="Post",
    lookup=posts.post,
    # A tag is created with its first post. An upload never changes, and becomes visible with the post that shows it.
    covered_by_events=frozenset({"posts", "post_tags", "comments", "likes", "tags", "uploads", "post_uploads"}),
    static=frozenset({"users", "categories"}),  # no result can contain an account that did not exist yet
)
