"""What a plan must not do, checked while it is made: mistakes that would otherwise leak rows or read the wrong ones."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Column, ColumnElement, Select, Table, UnaryExpression
from sqlalchemy.sql import visitors
from sqlalchemy.sql.operators import asc_op, desc_op

from models.base import Entity


class Unsound(TypeError):
    """A resolver whose SELECT the engine cannot vouch for."""


def is_ruled(entity: type[Entity]) -> bool:
    """Whether not everybody sees every row of it."""
    return entity.visible_to.__func__ is not Entity.visible_to.__func__


def guarded(selected: Any) -> Any:
    """What a resolver selected, once it is sure that every rule applies to it.

    A rule is added wherever an entity appears as itself. Its bare table escapes the rule, and so does an alias of it.
    """
    for rows in selected if isinstance(selected, list) else [selected]:
        for table in unguarded(rows):
            raise Unsound(f"{table.name}: select the entity itself; its rule reaches neither its table nor an alias")
    return selected


def unguarded(selected: Any) -> Iterator[Table]:
    ruled = {entity.__table__ for entity in every(Entity) if is_ruled(entity)}
    for element in visitors.iterate(selected):
        table = getattr(element, "element", element)
        named = isinstance(table, Table) and table._deannotate() in ruled
        if named and (table is not element or "parententity" not in element._annotations):
            yield table


def every(entity: type[Entity]) -> Iterator[type[Entity]]:
    for below in entity.__subclasses__():
        if hasattr(below, "__table__"):
            yield below
        yield from every(below)


def ordered(rows: Select) -> tuple[list[ColumnElement], bool]:
    """The columns that rows are ordered by, and whether they descend.

    A cursor remembers a row by them, so none may be null, all must go in one direction, and the last must be unique.
    """
    clauses = rows._order_by_clauses
    keys = [clause.element if isinstance(clause, UnaryExpression) else clause for clause in clauses]
    directions = {getattr(clause, "modifier", asc_op) or asc_op for clause in clauses}
    columns = [column_of(key) for key in keys]
    if not columns or any(column is None or column.nullable for column in columns):
        raise Unsound("Pages are ordered by columns that are never null")
    if len(directions) > 1:
        raise Unsound("The columns that pages are ordered by go in one direction")
    if not (columns[-1].primary_key or columns[-1].unique):
        raise Unsound("The last of the columns that pages are ordered by is unique")
    return keys, directions == {desc_op}


def column_of(key: ColumnElement) -> Column | None:
    key = key._deannotate()
    return key if isinstance(key, Column) else None


def once_each(rendered: Counter[Any]) -> None:
    """Each derived table stands in one FROM. Twice means a sub-select that could not reach the row around it."""
    for table, times in rendered.items():
        if times > 1:
            raise Unsound(f"{table}: a sub-select two levels below its row does not see it; reach the row by a join")
