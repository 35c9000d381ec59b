"""How long statements take: the engine's reads, and those of operations. Hooked in once, when the server starts."""

from collections.abc import Sequence
from time import perf_counter
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.graphql.databases import ReadDatabase
from gateway.metrics.histograms import Histogram


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


def time_operations(engine: AsyncEngine, histogram: Histogram) -> None:
    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def begin(connection: Any, cursor: Any, sql: str, parameters: Any, context: Any, many: bool) -> None:
        context.started = perf_counter()

    @event.listens_for(engine.sync_engine, "after_cursor_execute")
    def end(connection: Any, cursor: Any, sql: str, parameters: Any, context: Any, many: bool) -> None:
        histogram.observe(perf_counter() - context.started)
