"""Statements of our own that travel as the engine's do: prepared once, and together with others that wait."""

from typing import Any

from sqlalchemy import Select, literal, select, true

from gateway.graphql.database import ReadDatabase


class Prepared:
    """A statement that has one row, whatever its parameters are.

    Through SQLAlchemy it would cost three journeys to Postgres, and several times as much here as there.
    """

    def __init__(self, reads: ReadDatabase, statement: Select[Any]) -> None:
        compiled = statement.compile(dialect=reads.dialect)
        self.reads, self.sql = reads, compiled.string
        self.parameters = [(name, processor(compiled.binds[name], reads)) for name in compiled.positiontup]
        self.readers = [reader(column, reads) for column in statement.selected_columns]

    async def fetch_row(self, **values: Any) -> Any:
        return await self.reads.fetch_row(self.sql, [process(values[name]) for name, process in self.parameters])

    async def fetch(self, **values: Any) -> list[Any]:
        """The same row as Python has it: ids, moments and roles."""
        row = await self.fetch_row(**values)
        return [read(value) for read, value in zip(self.readers, row, strict=True)]


def row_or_nulls(found: Select[Any]) -> Select[Any]:
    """The row that is found, or one of nulls where there is none."""
    nothing, found = select(literal(1)).subquery(), found.subquery()
    return select(*found.c).select_from(nothing.outerjoin(found, true()))


def processor(bind: Any, reads: ReadDatabase) -> Any:
    return bind.type.dialect_impl(reads.dialect).bind_processor(reads.dialect) or (lambda value: value)


def reader(column: Any, reads: ReadDatabase) -> Any:
    return column.type.dialect_impl(reads.dialect).result_processor(reads.dialect, None) or (lambda value: value)
