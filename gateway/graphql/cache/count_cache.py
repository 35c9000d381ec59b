"""How many rows a list has in all: counted once, until one may have come or gone.

A total looks at every row, and costs more than the page that it stands beside. A statement takes those that are known
as parameters, and counts for itself where it is given none; what it counted is read off its answer.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.graphql.cache.response_cache import CacheTicket, ResponseCache
from gateway.graphql.planning.parameters import Values
from gateway.graphql.planning.plan import Count, Plan
from models import Viewer

SIZE = 200
"""Bytes that a count takes, or so."""


@dataclass(frozen=True, slots=True)
class PendingCount:
    """A count that a statement is about to take."""

    count: Count
    asked: Hashable
    reading: CacheTicket


class Counts:
    """Of one server."""

    def __init__(self, answers: ResponseCache) -> None:
        self.answers = answers

    def load(self, plan: Plan, values: Values, viewer: Viewer | None) -> list[PendingCount]:
        """Puts the counts that are known among a request's values, and says which are to be taken."""
        given, to_take = [], []
        for count in plan.counts:
            parameters, refused = count.plan.bind(values)
            asked = count.plan.sql, repr(parameters)
            given.append(None if refused else self.answers.get(asked, viewer))
            if given[-1] is None and not refused and count.column is not None and count.key is not None:
                to_take.append(PendingCount(count, asked, self.answers.reading(count.plan, values, viewer)))
        values["counts"] = given
        return to_take

    def store(self, taken: Sequence[PendingCount], row: Sequence[str | None]) -> None:
        """Keep what a statement counted."""
        for each in taken:
            page: Any = orjson.loads(row[each.count.column] or b"null")
            if page is not None:
                self.answers.put(each.asked, each.reading, page[each.count.key], SIZE)
