"""Durations of SQL statements. The hooks are installed once, when the server starts."""

from collections.abc import Sequence
from time import perf_counter
from typing import Any

from gateway.graphql.database import ReadDatabase
from gateway.observability.metrics.histogram import Histogram
from models import Database
from models.database.pool import Answer, Connection


def time_reads(reads: ReadDatabase, histogram: Histogram) -> None:
    """Record how long each read takes, the wait for a connection included."""
    execute, observe = reads.row, histogram.observe

    async def row(sql: str, parameters: Sequence[Any]) -> Sequence[str | None]:
        started = perf_counter()
        try:
            return await execute(sql, parameters)
        finally:
            observe(perf_counter() - started)

    reads.row = row


def time_operations(db: Database, histogram: Histogram) -> None:
    """Record how long each statement of a transaction takes."""
    execute, observe = db.ask, histogram.observe

    async def ask(connection: Connection, sql: str, parameters: Sequence[Any], *, rows: bool | None) -> Answer:
        started = perf_counter()
        try:
            return await execute(connection, sql, parameters, rows=rows)
        finally:
            observe(perf_counter() - started)

    db.ask = ask
