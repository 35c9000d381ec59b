"""The dependencies of a result, derived from its plan: an event about one of them invalidates the result.

`schema.cache_control` declares which tables may be cached. A result that reads any other table is not cached.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from uuid import UUID

from graphql import get_named_type

from gateway.graphql.documents.selection import Field
from gateway.graphql.planning.parameters import RequestParameter, Values, get_path
from schema.cache_control import CACHEABLE_TABLES

ANY_ENTITY = "any entity"

Dependency = str | UUID
"""The id of an entity that events name, or `ANY_ENTITY`."""

GetId = Callable[[Values], UUID]


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The tables that a plan reads, and the entities that its result is about."""

    tables: frozenset[str]
    ids: tuple[GetId, ...] | None
    """Functions that get the ids of the entities from a request's values; None if the result may show any entity."""

    def for_request(self, values: Values) -> tuple[Dependency, ...] | None:
        """Return the dependencies of one request's result; None if it must not be cached."""
        if not self.tables <= CACHEABLE_TABLES.covered_by_events | CACHEABLE_TABLES.static:
            return None
        if self.tables <= CACHEABLE_TABLES.static:
            return ()
        return (ANY_ENTITY,) if self.ids is None else tuple(get_id(values) for get_id in self.ids)


def find_dependencies(tables: frozenset[str], roots: Iterable[Field]) -> Dependencies:
    """Return the dependencies of a query that reads these tables for these root fields."""
    ids = [single_entity(root) for root in roots if root.name != "__typename"]
    return Dependencies(tables, None if None in ids else tuple(ids))


def single_entity(root: Field) -> GetId | None:
    """Return how to get the id of the only entity that a root field shows; None if it may show others."""
    id = (root.arguments or {}).get("id")
    if root.resolver is not CACHEABLE_TABLES.lookup or id is None or any(map(includes_entity, iter_descendants(root))):
        return None
    return (lambda values: get_path(values, id.path)) if isinstance(id, RequestParameter) else (lambda values: id)


def iter_descendants(field: Field) -> Iterator[Field]:
    for fields in (field.fields or {}).values():
        for child in fields:
            yield child
            yield from iter_descendants(child)


def includes_entity(field: Field) -> bool:
    """Return True if a field shows or counts entities of the type that events name."""
    if field.fields is None:
        return False
    inner = field.named_type.fields if field.wrapper_type else {}
    rows = inner.get("nodes") or inner.get("data")
    return CACHEABLE_TABLES.type_name in (field.named_type.name, rows and get_named_type(rows.type).name)
