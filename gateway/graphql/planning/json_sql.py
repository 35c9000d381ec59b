"""SQL constructs that build JSON, compiled for Postgres and for SQLite to the same text."""

from typing import Any

from sqlalchemy import JSON, Boolean, ColumnElement, String, Uuid, literal_column
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from models.base import UTCDateTime

MAX_ENTRIES_PER_CALL = 50
"""Postgres limits a function call to 100 arguments."""

INSERT_PATH = "'$.\"{}\"'"
"""The path at which `json_insert` of SQLite adds an entry to an object."""


class JsonObject(FunctionElement):
    """A JSON object."""

    type, inherit_cache = JSON(), False

    def __init__(self, entries: dict[str, ColumnElement]) -> None:
        self.keys = list(entries)
        super().__init__(*entries.values())


class JsonArray(FunctionElement):
    """An aggregate: a JSON array of one value for each row."""

    type, inherit_cache = JSON(), True


class WireText(FunctionElement):
    """A value in the format of the API, where that of the database differs."""

    inherit_cache = True

    def __init__(self, value: ColumnElement) -> None:
        self.type = value.type
        super().__init__(value)


class Cursor(FunctionElement):
    """A pagination cursor: several values, joined by unit separators and encoded as base64url."""

    type, inherit_cache = String(), True


def to_wire(value: ColumnElement) -> ColumnElement:
    return WireText(value) if isinstance(value.type, UTCDateTime | Uuid | Boolean) else value


def typename(name: str) -> ColumnElement[str]:
    return literal_column(f"'{name}'", String)


def arguments(element: FunctionElement, compiler: Any, **kw: Any) -> list[str]:
    return [compiler.process(clause, **kw) for clause in element.clauses]


def entries(element: JsonObject, compiler: Any, **kw: Any) -> list[list[tuple[str, str]]]:
    """Return the entries of an object in groups that fit into one function call."""
    pairs = list(zip(element.keys, arguments(element, compiler, **kw), strict=True))
    return [pairs[start : start + MAX_ENTRIES_PER_CALL] for start in range(0, len(pairs) or 1, MAX_ENTRIES_PER_CALL)]


def join_pairs(group: list[tuple[str, str]], key: str = "'{}'") -> str:
    return ", ".join(f"{key.format(name)}, {value}" for name, value in group)


@compiles(JsonObject, "postgresql")
def _(element: JsonObject, compiler: Any, **kw: Any) -> str:
    first, *others = [f"json_build_object({join_pairs(group)})" for group in entries(element, compiler, **kw)]
    for other in others:
        first = f"cast(left(cast({first} as text), -1) || ', ' || substr(cast({other} as text), 2) as json)"
    return first


@compiles(JsonObject, "sqlite")
def _(element: JsonObject, compiler: Any, **kw: Any) -> str:
    first, *others = entries(element, compiler, **kw)
    text = f"json_object({join_pairs(first)})"
    for other in others:
        text = f"json_insert({text}, {join_pairs(other, INSERT_PATH)})"
    return text


@compiles(JsonArray, "postgresql")
def _(element: JsonArray, compiler: Any, **kw: Any) -> str:
    return f"coalesce(json_agg({', '.join(arguments(element, compiler, **kw))}), '[]')"


@compiles(JsonArray, "sqlite")
def _(element: JsonArray, compiler: Any, **kw: Any) -> str:
    return f"json_group_array({', '.join(arguments(element, compiler, **kw))})"


@compiles(WireText, "postgresql")
def _(element: WireText, compiler: Any, **kw: Any) -> str:
    (value,) = arguments(element, compiler, **kw)
    if isinstance(element.type, UTCDateTime):
        return f"to_char({value} at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
    return value


@compiles(WireText, "sqlite")
def _(element: WireText, compiler: Any, **kw: Any) -> str:
    (value,) = arguments(element, compiler, **kw)
    match element.type:
        case UTCDateTime():
            return f"replace({value}, ' ', 'T') || 'Z'"
        case Boolean():
            return f"json(case {value} when 1 then 'true' when 0 then 'false' end)"
    groups = [f"substr({value}, {start}, {length})" for start, length in ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))]
    return " || '-' || ".join(groups)


@compiles(Cursor, "postgresql")
def _(element: Cursor, compiler: Any, **kw: Any) -> str:
    text = f"concat_ws(chr(31), {', '.join(arguments(element, compiler, **kw))})"
    return f"translate(encode(convert_to({text}, 'UTF8'), 'base64'), E'+/=\\n', '-_')"


@compiles(Cursor, "sqlite")
def _(element: Cursor, compiler: Any, **kw: Any) -> str:
    """Call `base64url`, which `models.database.sqlite` defines on each connection."""
    return f"base64url({' || char(31) || '.join(arguments(element, compiler, **kw))})"
