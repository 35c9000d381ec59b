"""Compile paginated lists: by cursor (`Connection`) or by page number (`Page`)."""

import base64
from collections.abc import Callable
from datetime import datetime
from functools import cached_property, partial
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, FromClause, Select, cast, func, literal, select, tuple_
from sqlalchemy.orm import aliased

from gateway.graphql.documents.selection import Field
from gateway.graphql.planning.json_sql import Cursor, JsonArray, JsonObject, to_wire, typename
from gateway.graphql.planning.parameters import RequestParameter, StatementParameters
from gateway.graphql.planning.visibility import cursor_columns
from models.errors import ValidationError
from resolvers.inputs import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE

MAX_PAGE_NUMBER = 2**31 - 1
SEPARATOR = "\x1f"
INVALID_CURSOR = "is not a cursor of this list"

CompileObject = Callable[[Field, Any], JsonObject]
"""Compiles the selection of one row, given as an aliased entity."""


class Paginator:
    """Base of both kinds of page. Compiles each of their fields by the method of the same name."""

    def __init__(
        self,
        field: Field,
        rows: Select,
        parameters: StatementParameters,
        compile_object: CompileObject,
        *,
        is_root: bool,
    ) -> None:
        self.field, self.rows, self.is_root = field, rows, is_root
        self.parameters, self.compile_object = parameters, compile_object
        self.keys, self.descending = cursor_columns(rows)

    def compile(self) -> JsonObject:
        return self.compile_fields(self.field)

    def compile_fields(self, field: Field) -> JsonObject:
        return JsonObject(
            {
                child.key: typename(child.parent) if child.name == "__typename" else getattr(self, child.name)(child)
                for child in field.children
            }
        )

    def compile_rows(self, field: Field, table: FromClause) -> ColumnElement:
        row = aliased(self.rows.column_descriptions[0]["entity"], table)
        return select(JsonArray(self.compile_object(field, row))).select_from(row).scalar_subquery()

    def count_expression(self) -> ColumnElement:
        count = self.count()
        return func.coalesce(self.cached_count, count) if self.is_root else count

    def count(self) -> ColumnElement:
        rows = self.rows.order_by(None).with_only_columns(self.keys[-1]).subquery()
        return select(func.count()).select_from(rows).scalar_subquery()

    @cached_property
    def cached_count(self) -> RequestParameter:
        """The cached count. Only lists at the root have one: there are too many lists below rows to cache them."""
        return self.parameters.bind_count(self)


class Page(Paginator):
    """`data`, `page`, `limit`, `total`, `pages`."""

    def __init__(self, field: Field, *args: Any, **kw: Any) -> None:
        super().__init__(field, *args, **kw)
        size, number = field.arguments.get("limit", DEFAULT_PAGE_SIZE), field.arguments.get("page", 1)
        self.size = bind_positive_int(self.parameters, field, "limit", size, MAX_PAGE_SIZE)
        self.number = bind_positive_int(self.parameters, field, "page", number, MAX_PAGE_NUMBER)

    def data(self, field: Field) -> ColumnElement:
        # Postgres types literals as 32-bit integers and multiplies them as such, which overflows.
        offset = (cast(self.number, BigInteger) - 1) * self.size
        return self.compile_rows(field, self.rows.limit(self.size).offset(offset).subquery())

    def page(self, field: Field) -> ColumnElement:
        return self.number

    def limit(self, field: Field) -> ColumnElement:
        return self.size

    def total(self, field: Field) -> ColumnElement:
        return self.count_expression()

    def pages(self, field: Field) -> ColumnElement:
        return (self.count_expression() + self.size - 1) // self.size


class Connection(Paginator):
    """`edges`, `nodes`, `pageInfo` and `totalCount`, each of which is read only if it is selected."""

    def __init__(self, field: Field, *args: Any, **kw: Any) -> None:
        super().__init__(field, *args, **kw)
        arguments = field.arguments
        if "first" in arguments and "last" in arguments:
            raise ValidationError.for_fields(last="cannot be given together with first")
        self.after, self.before = arguments.get("after"), arguments.get("before")
        cursors = [name for name in ("after", "before") if name in arguments]
        self.bounds = [self.cursor_condition(name, arguments[name]) for name in cursors]
        self.backward = "last" in arguments or (self.before is not None and "first" not in arguments)
        name = "last" if self.backward else "first"
        size = arguments.get(name, DEFAULT_PAGE_SIZE)
        self.size = bind_positive_int(self.parameters, field, name, size, MAX_PAGE_SIZE)

    @cached_property
    def rows_after_cursor(self) -> Select:
        """The rows between the cursors, in the direction of the page, with the keys of their own cursors."""
        rows = self.rows.add_columns(*(key.label(f"key_{index}") for index, key in enumerate(self.keys)))
        if self.backward:
            rows = rows.order_by(None).order_by(*(k.asc() if self.descending else k.desc() for k in self.keys))
        return rows.where(*self.bounds)

    def cursor_condition(self, name: str, cursor: Any) -> ColumnElement[bool]:
        types = [key.type for key in self.keys]
        parsers = [partial(decode_cursor_key, name, index, types) for index in range(len(types))]
        values = [self.parameters.bind(cursor, types[i], parse, self.field) for i, parse in enumerate(parsers)]
        keys, bounds = tuple_(*self.keys), tuple_(*values)
        return keys < bounds if self.descending is (name == "after") else keys > bounds

    @property
    def page_rows(self) -> Select:
        """A new SELECT of the page's rows in the order of the list, even if they are read backward."""
        page = self.rows_after_cursor.limit(self.size)
        return self.reversed_rows(page, descending=self.descending) if self.backward else page

    def reversed_rows(self, rows: Select, *, descending: bool) -> Select:
        table = rows.subquery()
        keys = keys_of(table)
        return select(table).order_by(*(key.desc() if descending else key.asc() for key in keys))

    def nodes(self, field: Field) -> ColumnElement:
        return self.compile_rows(field, self.page_rows.subquery())

    def edges(self, field: Field) -> ColumnElement:
        table = self.page_rows.subquery()
        row = aliased(self.rows.column_descriptions[0]["entity"], table)
        compilers: dict[str, Callable[[Field], ColumnElement]] = {
            "cursor": lambda child: cursor_token(keys_of(table)),
            "node": lambda child: self.compile_object(child, row),
            "__typename": lambda child: typename(child.parent),
        }
        edge = JsonObject({child.key: compilers[child.name](child) for child in field.children})
        return select(JsonArray(edge)).select_from(row).scalar_subquery()

    def page_info(self, field: Field) -> JsonObject:
        return self.compile_fields(field)

    def has_next_page(self, field: Field) -> ColumnElement:
        """True if a `before` cursor bounds the page, because the row of that cursor follows it."""
        return to_wire(
            literal(True) if self.before is not None else literal(False) if self.backward else self.has_more()
        )

    def has_previous_page(self, field: Field) -> ColumnElement:
        return to_wire(
            literal(True) if self.after is not None else self.has_more() if self.backward else literal(False)
        )

    def has_more(self) -> ColumnElement[bool]:
        return self.rows_after_cursor.limit(1).offset(self.size).exists()

    def start_cursor(self, field: Field) -> ColumnElement:
        return first_cursor(self.page_rows)

    def end_cursor(self, field: Field) -> ColumnElement:
        return first_cursor(self.reversed_rows(self.page_rows, descending=not self.descending))

    def total_count(self, field: Field) -> ColumnElement:
        return self.count_expression()


def limit_rows(field: Field, rows: Select, parameters: StatementParameters) -> Select:
    """Apply the `first` argument of a list that is not paginated."""
    size = field.arguments.get("first")
    return rows if size is None else rows.limit(bind_positive_int(parameters, field, "first", size, MAX_PAGE_SIZE))


def bind_positive_int(
    parameters: StatementParameters, field: Field, name: str, value: Any, maximum: int
) -> ColumnElement:
    """Bind an integer from 1 to `maximum`. For an invalid one the statement gets 1, and the field an error."""

    def check(number: int) -> int:
        if not 1 <= number <= maximum:
            raise ValidationError.for_fields(**{name: f"must be between 1 and {maximum}"})
        return number

    return parameters.bind(value, BigInteger(), check, field, fallback=1)


def keys_of(table: FromClause) -> list[ColumnElement]:
    return [column for column in table.c if column.name.startswith("key_")]


def first_cursor(rows: Select) -> ColumnElement:
    return select(cursor_token(keys_of(rows.limit(1).subquery()))).scalar_subquery()


def cursor_token(columns: list[ColumnElement]) -> ColumnElement:
    return Cursor(*map(to_wire, columns))


def decode_cursor_key(name: str, index: int, types: list[Any], cursor: str) -> Any:
    """Return one of the keys in a cursor. Raises `ValidationError` for the argument `name`."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        parts = base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True).decode().split(SEPARATOR)
        values = [parse_key(type_, part) for type_, part in zip(types, parts, strict=True)]
    except (ValueError, OverflowError) as error:
        raise ValidationError.for_fields(**{name: INVALID_CURSOR}) from error
    return values[index]


def parse_key(type_: Any, text: str) -> Any:
    """Parse a key from its text in a cursor. Raises `ValueError`."""
    python_type = getattr(type_, "impl_instance", type_).python_type
    if python_type is datetime:
        timestamp = datetime.fromisoformat(text)
        if timestamp.tzinfo is None:
            raise ValueError("the timestamp has no UTC offset")
        return timestamp
    if python_type is int:
        number, bits = int(text), 63 if isinstance(type_, BigInteger) else 31
        if not -(1 << bits) <= number < 1 << bits:
            raise ValueError("the number is too large for its column")
        return number
    if python_type is str and "\0" in text:
        raise ValueError("Postgres cannot store U+0000")
    return {UUID: UUID, str: str}[python_type](text)
