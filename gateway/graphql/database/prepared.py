"""Fixed statements that run on the read connections: prepared once and batched."""

from typing import Any

from sqlalchemy import Select, literal, select, true

from gateway.graphql.database import ReadDatabase
from models.database.prepared import PreparedStatement


class PreparedQuery:
    """A compiled statement that always returns one row. It takes one round trip; a SQLAlchemy session takes three."""

    def __init__(self, reads: ReadDatabase, statement: Select[Any]) -> None:
        self.reads, self.statement = reads, PreparedStatement(statement, reads.dialect)

    async def fetch_row(self, **values: Any) -> Any:
        return await self.reads.fetch_row(self.statement.sql, self.statement.bind(values))

    async def fetch(self, **values: Any) -> list[Any]:
        """Return the row with each value converted to its Python type."""
        return list(self.statement.read(await self.fetch_row(**values)))


def row_or_nulls(statement: Select[Any]) -> Select[Any]:
    """Return a SELECT of the statement's row, or of one row of nulls if it has none."""
    one, row = select(literal(1)).subquery(), statement.subquery()
    return select(*row.c).select_from(one.outerjoin(row, true()))
