"""The cache policy of a response, from `cacheControl` declarations by Apollo's rules."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gateway.graphql.documents.selection import Field
from schema.cache_control import Cache, Scope

UNDECLARED = Cache()


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """The combined declarations of one response."""

    max_age: int = 0
    """Seconds for which a client may reuse the response without revalidation."""
    is_private: bool = False
    """Whether a field is declared `PRIVATE`, so that no shared cache may store the response."""
    per_viewer: bool = False
    """Whether the server may cache the response for one viewer."""


def combine_cache_control(roots: Iterable[Field]) -> CachePolicy:
    """Return the strictest of the policies that the root fields, and all fields below them, declare."""
    roots = [root for root in roots if root.fields is not None]
    declared = [cache for root in roots for cache in iter_cache_control(root, UNDECLARED)]
    private = [(root.cache or UNDECLARED).scope is Scope.PRIVATE for root in roots]
    return CachePolicy(
        min((cache.max_age for cache in declared), default=0),
        any(cache.scope is Scope.PRIVATE for cache in declared),
        bool(private) and all(private),
    )


def iter_cache_control(field: Field, parent: Cache) -> Iterator[Cache]:
    """Yield the declarations of a field with subfields, or of its type. Connections and pages inherit the parent's."""
    cache = field.cache or (parent if field.is_container else UNDECLARED)
    yield cache
    for fields in field.fields.values():
        for child in fields:
            if child.fields is not None:
                yield from iter_cache_control(child, cache)
