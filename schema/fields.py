"""The words in which the schema declares what it reads and does.

- `@over(models.Post)` makes a GraphQL type of an entity: a field without a value is the column or the relationship of
  the same name.
- `reads(resolver)` is a field that a resolver selects: the resolver's return value (a SELECT or an expression) and the
  field's annotation (`Post | None`, `list[Post]`, `Connection[Post]`, `Page[Post]`, `bool`) say the rest.
- `does(operation)` is a mutation's field: what the operation returns (the id of an entity, or a dataclass of plain
  values and such ids) is read as by its viewer.
- `computed(function, needs=…)` is a field that Python makes of other columns of the row.
"""

import inspect
from collections.abc import Callable
from typing import Any, Generic, TypeVar, get_origin, get_type_hints
from uuid import UUID

import strawberry
from strawberry.annotation import StrawberryAnnotation
from strawberry.types.arguments import StrawberryArgument
from strawberry.types.base import has_object_definition
from strawberry.types.field import StrawberryField
from strawberry.types.unset import UNSET
from strawberry.utils.str_converters import to_camel_case

from resolvers.inputs import DEFAULT_PAGE_SIZE
from schema.cache_control import Cache
from schema.descriptions import ARGUMENT_DESCRIPTIONS, attribute_docstrings
from schema.inputs import optional_type, to_graphql_type

Row = TypeVar("Row")

TYPENAME_KEY = " type"
"""The entry under which a row of an interface says what it is, when graphql-core has to know."""

COLUMN_KEY = " needs "
"""What comes before a column's name in the entry that a computed field is made of; no response key has a space."""

COUNTING = 10
"""Points for a count, which looks at every row."""

Arguments = dict[str, tuple[Any, Any]]
"""Arguments by name: each with its type and its default."""

FORWARD_PAGING: Arguments = {"first": (int, DEFAULT_PAGE_SIZE), "after": (str, None)}
BIDIRECTIONAL_PAGING: Arguments = {
    "first": (int, None),
    "after": (str, None),
    "last": (int, None),
    "before": (str, None),
}
PAGE_NUMBER: Arguments = {"page": (int, 1), "limit": (int, DEFAULT_PAGE_SIZE)}
FIRST_ONLY: Arguments = {"first": (int, 50)}
"""The first rows of a list, without a cursor."""
SINCE: Arguments = {"since": (UUID, None)}
"""The event after which to go on."""


class DatabaseField(StrawberryField):
    """A field that the database answers; by the time GraphQL asks, its value stands under its response key."""

    is_basic_field = False

    @property
    def resolver(self) -> Callable[..., Any] | None:
        return self.metadata.get("resolver")

    @property
    def operation(self) -> Callable[..., Any] | None:
        return self.metadata.get("operation")

    @property
    def cache(self) -> Cache | None:
        return self.metadata.get("cache")

    @property
    def arguments(self) -> list[StrawberryArgument]:
        if self._arguments is None:
            paging = self.metadata.get("paging") or paging_of(self.type)
            offered = {**paging, **parameters(self.resolver or self.operation), **self.metadata.get("resuming", {})}
            self._arguments = [argument(name, *rest) for name, rest in offered.items()]
        return self._arguments

    @arguments.setter
    def arguments(self, value: list[StrawberryArgument]) -> None:
        self._arguments = value

    def get_result(self, source: Any, info: Any, args: Any, kwargs: Any) -> Any:
        answer = source[info.path.key]
        if isinstance(answer, Exception):
            raise answer.with_traceback(None)
        return answer


class ComputedField(StrawberryField):
    """A field that is made in Python of columns of its row, which are read along with the rest."""

    is_basic_field = False

    @property
    def needs(self) -> tuple[str, ...]:
        return self.metadata["needs"]

    def get_result(self, source: Any, info: Any, args: Any, kwargs: Any) -> Any:
        return self.metadata["function"](**{name: source[COLUMN_KEY + name] for name in self.needs})


def field(
    resolver: Callable[..., Any] | None = None,
    paging: Arguments | None = None,
    cache: Cache | None = None,
    **costs: Any,
) -> Any:
    """A field that is what a resolver selects; the resolver's own parameters become the field's arguments.

    `points`: its own cost. `assumed_size`: assumed length of a list. `rows_of_page`: the list is as long as the page
    that has it. `scans_rows`: it reads the rows of a list, which adds the cost of the filter.
    """
    metadata = {"resolver": resolver, "paging": paging, "cache": cache, **costs}
    return DatabaseField(metadata=metadata, description=resolver and inspect.getdoc(resolver))


def mutation(operation: Callable[..., Any], **costs: Any) -> Any:
    """A field that does something and is then what the operation returns, read as by its viewer."""
    return DatabaseField(metadata={"operation": operation, **costs}, description=inspect.getdoc(operation))


def subscription(operation: Callable[..., Any], resuming: Arguments | None = None) -> Any:
    """A field that is told again and again: for each event what the operation makes of it, read as by its viewer."""
    metadata = {"operation": operation, "resuming": resuming or {}}
    return DatabaseField(metadata=metadata, description=inspect.getdoc(operation))


def computed_field(function: Callable[..., Any], needs: tuple[str, ...]) -> Any:
    """A field that a function makes of columns of the row, given by name and as the wire spells them."""
    return ComputedField(metadata={"function": function, "needs": needs}, description=inspect.getdoc(function))


def entity_type(entity: type, cache: Cache | None = None, **options: Any) -> Callable[[type], type]:
    """A GraphQL type whose fields are those of an entity."""

    def declare(cls: type) -> type:
        cls.entity, cls.cache = entity, cache
        cls.is_type_of = lambda answer, info: True
        return object_type(cls, **options)

    return declare


def object_type(cls: type, **options: Any) -> type:
    """A GraphQL type that only the database fills: every bare annotation becomes a field that is read."""
    words, columns = attribute_docstrings(cls), attribute_docstrings(getattr(cls, "entity", cls))
    for name in inspect.get_annotations(cls):
        if name not in cls.__dict__:
            setattr(cls, name, field())
        declared = cls.__dict__[name]
        declared.description = words.get(name) or declared.description or columns.get(name)
    return strawberry.type(cls, description=inspect.cleandoc(cls.__doc__ or ""), **options)


def parameters(resolver: Callable[..., Any] | None) -> Arguments:
    """The parameters that a client may give: all but who asks, what happened and the row that the field belongs to."""
    if resolver is None:
        return {}
    hints = get_type_hints(resolver)
    return {
        name: (hints[name], parameter.default)
        for name, parameter in inspect.signature(resolver).parameters.items()
        if name not in ("viewer", "ctx", "event") and get_origin(hints[name]) is not type
    }


def argument(name: str, annotation: Any, default: Any) -> StrawberryArgument:
    """An argument with a default may be left out, and null means the default."""
    required = default is inspect.Parameter.empty
    annotation, default = (to_graphql_type(annotation), UNSET) if required else optional_type(annotation, default)
    description = ARGUMENT_DESCRIPTIONS.get(to_camel_case(name))
    return StrawberryArgument(name, None, StrawberryAnnotation(annotation), description=description, default=default)


def paging_of(type_: Any) -> Arguments:
    if not has_object_definition(type_):
        return {}
    origin = type_.__strawberry_definition__.concrete_of
    return {"Connection": FORWARD_PAGING, "Page": PAGE_NUMBER}.get(origin.name, {}) if origin else {}


@object_type
class PageInfo:
    """Where a page stands among the others."""

    has_next_page: bool = field(scans_rows=True)
    """Whether there is more after this page."""
    has_previous_page: bool = field(scans_rows=True)
    """Whether there is more before this page."""
    start_cursor: str | None = field(scans_rows=True)
    """The cursor of the first row; null on an empty page."""
    end_cursor: str | None = field(scans_rows=True)
    """The cursor of the last row; null on an empty page."""


@object_type
class Edge(Generic[Row]):
    """A row and its place in the order."""

    cursor: str
    """Its place: give it as `after` or `before` to go on from here."""
    node: Row
    """The row."""


@object_type
class Connection(Generic[Row]):
    """Rows in an order, a page at a time, from one cursor to the next."""

    edges: list[Edge[Row]] = field(points=0, rows_of_page=True, scans_rows=True)
    """The page's rows, each with its cursor."""
    nodes: list[Row] = field(rows_of_page=True, scans_rows=True)
    """The page's rows."""
    page_info: PageInfo = field(points=0)
    """Whether there is more, and from where."""
    total_count: int = field(points=COUNTING, scans_rows=True)
    """How many rows there are on all pages; counted only when asked for."""


@object_type
class Page(Generic[Row]):
    """Rows in an order, by numbered pages."""

    data: list[Row] = field(rows_of_page=True, scans_rows=True)
    """The page's rows."""
    page: int
    """Which page this is, from 1."""
    limit: int
    """How many rows a page holds."""
    total: int = field(points=COUNTING, scans_rows=True)
    """How many rows there are on all pages."""
    pages: int = field(points=COUNTING, scans_rows=True)
    """How many pages there are."""
