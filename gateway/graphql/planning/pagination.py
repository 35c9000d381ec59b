"""Rows a page at a time: by cursor (`Connection`) or by number (`Page`)."""

import base64
from collections.abc import Callable
from datetime import datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, FromClause, Select, cast, func, literal, select, tuple_
from sqlalchemy.orm import aliased

from gateway.graphql.documents.selection import Field
from gateway.graphql.planning.json_sql import Cursor, JsonArray, JsonObject, to_wire
from gateway.graphql.planning.parameters import RequestParameter
from gateway.graphql.planning.visibility import cursor_columns
from models.errors import ValidationError

if TYPE_CHECKING:
    from gateway.graphql.planning.compiler import Compiler

DEFAULT_PAGE_SIZE = 20
MAX_PAGE_SIZE = 100
MOST_PAGES = 2**31 - 1
SEPARATOR = "\x1f"
NO_CURSOR = "is not a cursor of this list"


class Paginator:
    """What both kinds of page share: their fields are this object's methods, called by name."""

    def __init__(self, compiler: "Compiler", field: Field, rows: Select, *, is_root: bool) -> None:
        self.compiler, self.field, self.rows, self.is_root = compiler, field, rows, is_root
        self.arguments = field.arguments
        self.keys, self.descending = cursor_columns(rows)

    def answer(self) -> JsonObject:
        return self.entries(self.field)

    def entries(self, field: Field) -> JsonObject:
        return JsonObject({below.key: self.entry(below) for below in field.children})

    def entry(self, field: Field) -> ColumnElement:
        return self.compiler.compile_field(field) if field.name == "__typename" else getattr(self, field.name)(field)

    def count_expression(self) -> ColumnElement:
        count = self.count()
        return func.coalesce(self.known, count) if self.is_root else count

    def count(self) -> ColumnElement:
        everything = self.rows.order_by(None).with_only_columns(self.keys[-1]).subquery()
        return select(func.count()).select_from(everything).scalar_subquery()

    @cached_property
    def known(self) -> RequestParameter:
        """The count, as the request may bring it. The lists of rows are counted each time, for there are many."""
        return self.compiler.bind_count(self)


class Page(Paginator):
    """`data`, `page`, `limit`, `total`, `pages`."""

    def __init__(self, compiler: "Compiler", field: Field, rows: Select, *, is_root: bool) -> None:
        super().__init__(compiler, field, rows, is_root=is_root)
        self.size = bounded_int(compiler, field, "limit", self.arguments.get("limit", DEFAULT_PAGE_SIZE), MAX_PAGE_SIZE)
        self.number = bounded_int(compiler, field, "page", self.arguments.get("page", 1), MOST_PAGES)

    def data(self, field: Field) -> ColumnElement:
        return self.compiler.compile_list(field, self.rows.limit(self.size).offset(self.offset))

    @property
    def offset(self) -> ColumnElement:
        """Postgres takes numbers that stand in a statement for small ones, and their product has to be one, too."""
        return (cast(self.number, BigInteger) - 1) * self.size

    def page(self, field: Field) -> ColumnElement:
        return self.number

    def limit(self, field: Field) -> ColumnElement:
        return self.size

    def total(self, field: Field) -> ColumnElement:
        return self.count_expression()

    def pages(self, field: Field) -> ColumnElement:
        return (self.count_expression() + self.size - 1) // self.size


class Connection(Paginator):
    """`edges`, `nodes`, `pageInfo` and `totalCount`, each of them read only when asked for."""

    def __init__(self, compiler: "Compiler", field: Field, rows: Select, *, is_root: bool) -> None:
        super().__init__(compiler, field, rows, is_root=is_root)
        given = self.arguments
        if "first" in given and "last" in given:
            raise ValidationError.for_fields(last="cannot be given together with first")
        self.after, self.before = given.get("after"), given.get("before")
        self.bounds = [self.cursor_condition(each, given[each]) for each in ("after", "before") if each in given]
        self.backward = "last" in given or (self.before is not None and "first" not in given)
        name = "last" if self.backward else "first"
        self.size = bounded_int(compiler, field, name, given.get(name, DEFAULT_PAGE_SIZE), MAX_PAGE_SIZE)

    @cached_property
    def rows_after_cursor(self) -> Select:
        """The rows between the cursors, from where the page begins; each with the keys that its cursor is made of."""
        rows = self.rows.add_columns(*(key.label(f"key_{index}") for index, key in enumerate(self.keys)))
        if self.backward:
            rows = rows.order_by(None).order_by(*(k.asc() if self.descending else k.desc() for k in self.keys))
        return rows.where(*self.bounds)

    def cursor_condition(self, name: str, cursor: Any) -> ColumnElement[bool]:
        types = [key.type for key in self.keys]
        readers = [partial(decode_cursor_key, name, index, types) for index in range(len(types))]
        values = [self.compiler.bind_value(cursor, types[i], read, self.field) for i, read in enumerate(readers)]
        here, there = tuple_(*self.keys), tuple_(*values)
        return here < there if self.descending is (name == "after") else here > there

    @property
    def page_rows(self) -> Select:
        """The page itself, in its own order: what was read backward is turned round again. Made anew for each use."""
        page = self.rows_after_cursor.limit(self.size)
        return self.reversed_rows(page, descending=self.descending) if self.backward else page

    def reversed_rows(self, rows: Select, *, descending: bool) -> Select:
        table = rows.subquery()
        keys = keys_of(table)
        return select(table).order_by(*(key.desc() if descending else key.asc() for key in keys))

    def row(self) -> tuple[Any, FromClause]:
        """A row of the page, as its entity and as a table that has the keys as well."""
        table = self.page_rows.subquery()
        return aliased(self.rows.column_descriptions[0]["entity"], table), table

    def nodes(self, field: Field) -> ColumnElement:
        row, _ = self.row()
        return select(JsonArray(self.compiler.compile_object(field, row))).select_from(row).scalar_subquery()

    def edges(self, field: Field) -> ColumnElement:
        row, table = self.row()
        entries: dict[str, Callable[[Field], ColumnElement]] = {
            "cursor": lambda below: cursor_token(keys_of(table)),
            "node": lambda below: self.compiler.compile_object(below, row),
            "__typename": lambda below: self.compiler.compile_field(below),
        }
        edge = JsonObject({below.key: entries[below.name](below) for below in field.children})
        return select(JsonArray(edge)).select_from(row).scalar_subquery()

    def page_info(self, field: Field) -> JsonObject:
        return self.entries(field)

    def has_next_page(self, field: Field) -> ColumnElement:
        """Beyond a cursor that bounds the page there is at least the row that it was taken from."""
        return to_wire(literal(True) if self.before is not None else literal(False) if self.backward else self.more())

    def has_previous_page(self, field: Field) -> ColumnElement:
        return to_wire(literal(True) if self.after is not None else self.more() if self.backward else literal(False))

    def more(self) -> ColumnElement[bool]:
        return self.rows_after_cursor.limit(1).offset(self.size).exists()

    def start_cursor(self, field: Field) -> ColumnElement:
        return first_token(self.page_rows)

    def end_cursor(self, field: Field) -> ColumnElement:
        return first_token(self.reversed_rows(self.page_rows, descending=not self.descending))

    def total_count(self, field: Field) -> ColumnElement:
        return self.count_expression()


def limited(compiler: "Compiler", field: Field, rows: Select) -> Select:
    """The first rows of a list that offers `first`."""
    wanted = field.arguments.get("first")
    return rows if wanted is None else rows.limit(bounded_int(compiler, field, "first", wanted, MAX_PAGE_SIZE))


def bounded_int(compiler: "Compiler", field: Field, name: str, value: Any, most: int) -> ColumnElement:
    """A whole number from one to `most`; instead of a refused one the statement, which must not fail, has 1."""

    def check(number: int) -> int:
        if not 1 <= number <= most:
            raise ValidationError.for_fields(**{name: f"must be between 1 and {most}"})
        return number

    return compiler.bind_value(value, BigInteger(), check, field, instead=1)


def keys_of(table: FromClause) -> list[ColumnElement]:
    return [column for column in table.c if column.name.startswith("key_")]


def first_token(rows: Select) -> ColumnElement:
    return select(cursor_token(keys_of(rows.limit(1).subquery()))).scalar_subquery()


def cursor_token(columns: list[ColumnElement]) -> ColumnElement:
    return Cursor(*map(to_wire, columns))


def decode_cursor_key(name: str, index: int, types: list[Any], cursor: str) -> Any:
    """One of the values that a cursor remembers."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        parts = base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True).decode().split(SEPARATOR)
        values = [parse_key(type_, part) for type_, part in zip(types, parts, strict=True)]
    except (ValueError, OverflowError) as error:
        raise ValidationError.for_fields(**{name: NO_CURSOR}) from error
    return values[index]


def parse_key(type_: Any, part: str) -> Any:
    """A key as the wire spelled it."""
    kind = getattr(type_, "impl_instance", type_).python_type
    if kind is datetime:
        moment = datetime.fromisoformat(part)
        if moment.tzinfo is None:
            raise ValueError("a moment needs its offset")
        return moment
    if kind is int:
        return check_int_range(int(part), 63 if isinstance(type_, BigInteger) else 31)
    if kind is str and "\0" in part:
        raise ValueError("U+0000 cannot be kept")
    return {UUID: UUID, str: str}[kind](part)


def check_int_range(number: int, bits: int) -> int:
    if not -(1 << bits) <= number < 1 << bits:
        raise ValueError("the number is too large for its column")
    return number
