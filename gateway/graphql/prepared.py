"""Statements of our own that travel as the engine's do: prepared once, and together with others that wait."""

from typing import Any

from sqlalchemy import Select

from gateway.graphql.databases import ReadDatabase


class Prepared:
    """A statement that has one row, whatever its parameters are.

    Through SQLAlchemy it would cost three journeys to Postgres, and several times as much here as there.
    """

    def __init__(self, reads: ReadDatabase, statement: Select[Any]) -> None:
        compiled = statement.compile(dialect=reads.dialect)
        self.reads, self.sql = reads, compiled.string
        self.parameters = [(name, processor(compiled.binds[name], reads)) for name in compiled.positiontup]

    async def row(self, **values: Any) -> Any:
        return await self.reads.row(self.sql, [process(values[name]) for name, process in self.parameters])


def processor(bind: Any, reads: ReadDatabase) -> Any:
    return bind.type.dialect_impl(reads.dialect).bind_processor(reads.dialect) or (lambda value: value)
