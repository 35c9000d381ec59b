"""What an answer depends on, as its plan tells: so that what happens says which answers no longer hold.

An answer may be kept only if nothing that it shows changes untold. So a table is named here, or is not kept at all.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from uuid import UUID

from graphql import get_named_type

from gateway.graphql.documents.selection import Field
from gateway.graphql.planning.parameters import RequestParameter, Values, get_path
from resolvers import posts

TABLES_COVERED_BY_POST_EVENTS = frozenset(
    {"posts", "post_tags", "comments", "likes", "tags", "uploads", "post_uploads"}
)
"""What others see of these changes only with an event about a post, in the same transaction: a tag is made with the
first post that has it, and an upload, which never changes, comes into sight with the post that shows it."""

STATIC_TABLES = frozenset({"users", "categories"})
"""What is shown of these no client can change, and a new account's id is known to nobody who could have asked for it.
Whoever does change them otherwise (`gateway user promote`, `gateway seed`) writes an event that touches everything."""

ANY_POST = "every post"

Dependency = str | UUID
"""A post, by its id, or all of them."""

GetPostId = Callable[[Values], UUID]


@dataclass(frozen=True, slots=True)
class Dependencies:
    """Of one plan."""

    tables: frozenset[str]
    posts: tuple[GetPostId, ...] | None
    """How to find the posts that all of the answer is about among a request's values; None where any may be."""

    def for_request(self, values: Values) -> tuple[Dependency, ...] | None:
        """What must not happen while an answer is kept; None where it must not be kept at all."""
        if not self.tables <= TABLES_COVERED_BY_POST_EVENTS | STATIC_TABLES:
            return None
        if self.tables <= STATIC_TABLES:
            return ()
        return (ANY_POST,) if self.posts is None else tuple(take(values) for take in self.posts)


def dependencies(tables: frozenset[str], roots: Iterable[Field]) -> Dependencies:
    """Those of a query that reads these tables for these fields."""
    takes = [single_post(root) for root in roots if root.name != "__typename"]
    return Dependencies(tables, None if None in takes else tuple(takes))


def single_post(root: Field) -> GetPostId | None:
    """How to find the only post that a field and all below it can show."""
    id = (root.arguments or {}).get("id")
    if root.resolver is not posts.post or id is None or any(includes_posts(field) for field in beneath(root)):
        return None
    return (lambda values: get_path(values, id.path)) if isinstance(id, RequestParameter) else (lambda values: id)


def beneath(field: Field) -> Iterator[Field]:
    for fields in (field.fields or {}).values():
        for below in fields:
            yield below
            yield from beneath(below)


def includes_posts(field: Field) -> bool:
    """Whether a field shows posts, or counts them."""
    if field.fields is None:
        return False
    inner = field.named_type.fields if field.wrapper_type else {}
    rows = inner.get("nodes") or inner.get("data")
    return "Post" in (field.named_type.name, rows and get_named_type(rows.type).name)
