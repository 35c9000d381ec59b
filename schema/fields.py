"""Decorators and functions that declare the schema's types and fields.

- `@entity_type(models.Post)` declares a GraphQL type over an entity. A field without a value is the column or the
  relationship of the same name.
- `field(resolver)` declares a field over a resolver, which returns a SELECT or an expression. The annotation is one of
  `Post | None`, `list[Post]`, `Connection[Post]`, `Page[Post]` and scalars such as `bool`.
- `mutation(operation)` declares a field of `Mutation`. The operation returns the id of an entity, or a dataclass of
  values and such ids, which are then read as by the viewer.
- `subscription(operation)` declares a field of `Subscription`.
- `computed_field(function, needs=…)` declares a field that Python computes from other columns of the row.
"""

import inspect
from collections.abc import Callable
from typing import Annotated, Any, Generic, TypeVar, get_origin, get_type_hints
from uuid import UUID

import strawberry
from pydantic import TypeAdapter
from strawberry.annotation import StrawberryAnnotation
from strawberry.types.arguments import StrawberryArgument
from strawberry.types.base import has_object_definition
from strawberry.types.field import StrawberryField
from strawberry.types.unset import UNSET
from strawberry.utils.str_converters import to_camel_case

from resolvers.inputs import DEFAULT_PAGE_SIZE
from schema.cache_control import Cache
from schema.descriptions import ARGUMENT_DESCRIPTIONS, attribute_docstrings, describe_limits
from schema.inputs import optional_type, to_graphql_type

Row = TypeVar("Row")

TYPENAME_KEY = " type"
"""The key of the type name in a row of an interface, for graphql-core."""

COLUMN_KEY = " needs "
"""The prefix of columns that a computed field needs. Response keys contain no space, so there is no collision."""

COUNT_COST = 10
"""Cost points of a count, which reads every row."""

Arguments = dict[str, tuple[Any, Any]]
"""Type and default of each argument, by name."""

FORWARD_PAGING: Arguments = {"first": (int, DEFAULT_PAGE_SIZE), "after": (str, None)}
BIDIRECTIONAL_PAGING: Arguments = {
    "first": (int, None),
    "after": (str, None),
    "last": (int, None),
    "before": (str, None),
}
PAGE_NUMBER: Arguments = {"page": (int, 1), "limit": (int, DEFAULT_PAGE_SIZE)}
FIRST_ONLY: Arguments = {"first": (int, 50)}
"""Arguments of a list without cursors."""
SINCE: Arguments = {"since": (UUID, None)}


class DatabaseField(StrawberryField):
    """A field with a value from the database, which the parent has under the field's response key."""

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
            paging = self.metadata.get("paging") or paging_arguments(self.type)
            own = parameters(self.resolver or self.operation)
            arguments = {**paging, **own, **self.metadata.get("resuming", {})}
            self._arguments = [argument(name, *rest) for name, rest in arguments.items()]
        return self._arguments

    @arguments.setter
    def arguments(self, value: list[StrawberryArgument]) -> None:
        self._arguments = value

    def get_result(self, source: Any, info: Any, args: Any, kwargs: Any) -> Any:
        value = source[info.path.key]
        if isinstance(value, Exception):
            raise value.with_traceback(None)
        return value


class ComputedField(StrawberryField):
    """A field that Python computes from columns of its row."""

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
    """Declare a field over a resolver, whose other parameters become the field's arguments.

    `costs`: `points`, the cost of the field itself; `assumed_size`, the length of a list without paging;
    `is_page_rows`, for a list that is as long as its page; `scans_rows`, if the field pays for finding a list's rows.
    """
    metadata = {"resolver": resolver, "paging": paging, "cache": cache, **costs}
    return DatabaseField(metadata=metadata, description=resolver and inspect.getdoc(resolver))


def mutation(operation: Callable[..., Any], **costs: Any) -> Any:
    """Declare a field that runs an operation and then reads what it returned, as the viewer."""
    return DatabaseField(metadata={"operation": operation, **costs}, description=inspect.getdoc(operation))


def subscription(operation: Callable[..., Any], resuming: Arguments | None = None) -> Any:
    """Declare a field that reads, as the viewer, what the operation returns for each event."""
    metadata = {"operation": operation, "resuming": resuming or {}}
    return DatabaseField(metadata=metadata, description=inspect.getdoc(operation))


def computed_field(function: Callable[..., Any], needs: tuple[str, ...]) -> Any:
    """Declare a field that a function computes from columns, passed by name in their serialized form."""
    return ComputedField(metadata={"function": function, "needs": needs}, description=inspect.getdoc(function))


def entity_type(entity: type, cache: Cache | None = None, **options: Any) -> Callable[[type], type]:
    """Declare a GraphQL type over an entity."""

    def declare(cls: type) -> type:
        cls.entity, cls.cache = entity, cache
        cls.is_type_of = lambda value, info: True
        return object_type(cls, **options)

    return declare


def object_type(cls: type, **options: Any) -> type:
    """Declare a GraphQL type whose annotations without a value become database fields."""
    docstrings, columns = attribute_docstrings(cls), attribute_docstrings(getattr(cls, "entity", cls))
    for name in inspect.get_annotations(cls):
        if name not in cls.__dict__:
            setattr(cls, name, field())
        declared = cls.__dict__[name]
        declared.description = docstrings.get(name) or declared.description or columns.get(name)
    return strawberry.type(cls, description=inspect.cleandoc(cls.__doc__ or ""), **options)


def parameters(resolver: Callable[..., Any] | None) -> Arguments:
    """Return the parameters that become arguments: all but the viewer, context, event and parent row."""
    if resolver is None:
        return {}
    hints = get_type_hints(resolver, include_extras=True)
    return {
        name: (hints[name], parameter.default)
        for name, parameter in inspect.signature(resolver).parameters.items()
        if name not in ("viewer", "ctx", "event") and get_origin(hints[name]) is not type
    }


def argument(name: str, annotation: Any, default: Any) -> StrawberryArgument:
    """Declare an argument. One with a default is optional, and null means the default."""
    limits = get_origin(annotation) is Annotated and describe_limits(TypeAdapter(annotation).json_schema())
    description = " ".join(filter(None, (ARGUMENT_DESCRIPTIONS.get(to_camel_case(name)), limits))) or None
    required = default is inspect.Parameter.empty
    annotation, default = (to_graphql_type(annotation), UNSET) if required else optional_type(annotation, default)
    return StrawberryArgument(name, None, StrawberryAnnotation(annotation), description=description, default=default)


def paging_arguments(type_: Any) -> Arguments:
    if not has_object_definition(type_):
        return {}
    origin = type_.__strawberry_definition__.concrete_of
    return {"Connection": FORWARD_PAGING, "Page": PAGE_NUMBER}.get(origin.name, {}) if origin else {}


@object_type
class PageInfo:
    """Position of a page in its list."""

    has_next_page: bool = field(scans_rows=True)
    """True if there are items after this page."""
    has_previous_page: bool = field(scans_rows=True)
    """True if there are items before this page."""
    start_cursor: str | None = field(scans_rows=True)
    """Cursor of the first item; null on an empty page."""
    end_cursor: str | None = field(scans_rows=True)
    """Cursor of the last item; null on an empty page."""


@object_type
class Edge(Generic[Row]):
    """An item of a list with its cursor."""

    cursor: str
    """Position of the item. Pass it as `after` or `before` to continue from here."""
    node: Row
    """The item."""


@object_type
class Connection(Generic[Row]):
    """A page of a list, with cursors."""

    edges: list[Edge[Row]] = field(points=0, is_page_rows=True, scans_rows=True)
    """The items of the page with their cursors."""
    nodes: list[Row] = field(is_page_rows=True, scans_rows=True)
    """The items of the page."""
    page_info: PageInfo = field(points=0)
    """Position of the page in the list."""
    total_count: int = field(points=COUNT_COST, scans_rows=True)
    """Number of items on all pages."""


@object_type
class Page(Generic[Row]):
    """A numbered page of a list."""

    data: list[Row] = field(is_page_rows=True, scans_rows=True)
    """The items of the page."""
    page: int
    """Number of the page, starting at 1."""
    limit: int
    """Maximum number of items on a page."""
    total: int = field(points=COUNT_COST, scans_rows=True)
    """Number of items on all pages."""
    pages: int = field(points=COUNT_COST, scans_rows=True)
    """Number of pages."""
