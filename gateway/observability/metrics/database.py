"""How long statements take: the engine's reads, and those of operations. Hooked in once, when the server starts."""

from collections.abc import Sequence
from time import perf_counter
from typing import Any

from gateway.graphql.database import ReadDatabase
from gateway.observability.metrics.histogram import Histogram
from models import Database
from models.database.pool import Answer, Connection


def time_reads(reads: ReadDatabase, histogram: Histogram) -> None:
    """From when a request asks to when it has its row: waiting for a connection counts, for somebody waits."""
    ask, observe = reads.row, histogram.observe

    async def row(sql: str, parameters: Sequence[Any]) -> Sequence[str | None]:
        started = perf_counter()
        try:
            return await ask(sql, parameters)
        finally:
            observe(perf_counter() - started)

    reads.row = row


def time_operations(db: Database, histogram: Histogram) -> None:
    ask, observe = db.ask, histogram.observe

    async def asked(connection: Connection, sql: str, parameters: Sequence[Any], *, rows: bool | None) -> Answer:
        started = perf_counter()
        try:
            return await ask(connection, sql, parameters, rows=rows)
        finally:
            observe(perf_counter() - started)

    db.ask = asked
