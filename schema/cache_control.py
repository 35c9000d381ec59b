"""How long clients may use what a field shows without asking again: Apollo's `cacheControl`, in Python."""

from dataclasses import dataclass
from enum import Enum


class Scope(Enum):
    """Whose an answer is."""

    PUBLIC = "PUBLIC"
    """Everybody's, unless it depended on who asked."""
    PRIVATE = "PRIVATE"
    """Its viewer's alone. Declared for a field of `Query`, the server itself keeps its answers for each viewer."""


@dataclass(frozen=True, slots=True)
class Cache:
    """Declared as `@over(models.Category, cache=Cache(60))` or `reads(resolver, cache=Cache(60))`.

    An answer may be used for as long as everything that it shows may be. What is not declared must be asked for again.
    """

    max_age: int = 0
    """Seconds."""
    scope: Scope = Scope.PUBLIC
