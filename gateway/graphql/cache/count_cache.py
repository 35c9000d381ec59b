"""A cache of the total number of rows of a list, valid until a row may have been added or removed.

A total reads every row, and costs more than the page beside it. A statement takes cached totals as parameters, and
counts for itself where the parameter is null; those counts are then cached from its result.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.graphql.cache.response_cache import CacheTicket, ResponseCache
from gateway.graphql.planning.parameters import Values
from gateway.graphql.planning.plan import Count, Plan
from models import Viewer

COUNT_BYTES = 200
"""The estimated size of a cached count."""


@dataclass(frozen=True, slots=True)
class PendingCount:
    """A total that a statement is about to count."""

    count: Count
    key: Hashable
    ticket: CacheTicket


class CountCache:
    """The cached totals of one server."""

    def __init__(self, cache: ResponseCache) -> None:
        self.cache = cache

    def load(self, plan: Plan, values: Values, viewer: Viewer | None) -> list[PendingCount]:
        """Set `values["counts"]` to the cached totals, and return those that the statement has to count."""
        cached, pending = [], []
        for count in plan.counts:
            parameters, errors = count.plan.bind(values)
            key = count.plan.sql, repr(parameters)
            cached.append(None if errors else self.cache.get(key, viewer))
            if cached[-1] is None and not errors and count.column is not None and count.key is not None:
                pending.append(PendingCount(count, key, self.cache.create_ticket(count.plan, values, viewer)))
        values["counts"] = cached
        return pending

    def store(self, pending: Sequence[PendingCount], row: Sequence[str | None]) -> None:
        """Cache the totals that a statement counted."""
        for each in pending:
            page: Any = orjson.loads(row[each.count.column] or b"null")
            if page is not None:
                self.cache.put(each.key, each.ticket, page[each.count.key], COUNT_BYTES)
