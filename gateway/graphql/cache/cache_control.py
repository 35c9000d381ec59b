"""What is declared of how an answer may be kept: Apollo's rules for `cacheControl`."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gateway.graphql.documents.selection import Field
from schema.cache_control import Cache, Scope

UNDECLARED = Cache()


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """For one answer."""

    max_age: int = 0
    """Seconds for which clients may use it without asking again."""
    is_private: bool = False
    """Whether it is declared to be its viewer's alone."""
    per_viewer: bool = False
    """Whether the server may keep it for one viewer."""


def combine_cache_control(roots: Iterable[Field]) -> CachePolicy:
    """The strictest of all that fields declare, from the roots down."""
    roots = [root for root in roots if root.fields is not None]
    declared = [cache for root in roots for cache in iter_cache_control(root, UNDECLARED)]
    private = [(root.cache or UNDECLARED).scope is Scope.PRIVATE for root in roots]
    return CachePolicy(
        min((cache.max_age for cache in declared), default=0),
        any(cache.scope is Scope.PRIVATE for cache in declared),
        bool(private) and all(private),
    )


def iter_cache_control(field: Field, above: Cache) -> Iterator[Cache]:
    """What a field with fields of its own declares, or its type does; connections and pages are as what they are in."""
    cache = field.cache or (above if field.is_container else UNDECLARED)
    yield cache
    for fields in field.fields.values():
        for below in fields:
            if below.fields is not None:
                yield from iter_cache_control(below, cache)
