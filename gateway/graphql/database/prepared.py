"""Statements of our own that travel as the engine's do: prepared once, and together with others that wait."""

from typing import Any

from sqlalchemy import Select, literal, select, true

from gateway.graphql.database import ReadDatabase
from models.database.prepared import PreparedStatement


class Prepared:
    """A statement that has one row, whatever its parameters are.

    Through SQLAlchemy it would cost three journeys to Postgres, and several times as much here as there.
    """

    def __init__(self, reads: ReadDatabase, statement: Select[Any]) -> None:
        self.reads, self.statement = reads, PreparedStatement(statement, reads.dialect)

    async def fetch_row(self, **values: Any) -> Any:
        return await self.reads.fetch_row(self.statement.sql, self.statement.bind(values))

    async def fetch(self, **values: Any) -> list[Any]:
        """The same row as Python has it: ids, moments and roles."""
        return list(self.statement.read(await self.fetch_row(**values)))


def row_or_nulls(found: Select[Any]) -> Select[Any]:
    """The row that is found, or one of nulls where there is none."""
    nothing, found = select(literal(1)).subquery(), found.subquery()
    return select(*found.c).select_from(nothing.outerjoin(found, true()))
