"""Installs timers and spans around the parts of a running server, once, when it starts."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from opentelemetry.trace import TracerProvider
from sqlalchemy import make_url

from gateway.graphql.database import ReadDatabase
from gateway.observability.tracing.clients import trace_language_model, trace_service
from gateway.observability.tracing.database import StatementTracer
from gateway.observability.tracing.operations import extract_context, trace_operations
from gateway.state import AppState


def measure(state: AppState) -> None:
    """Record how long SQL statements take."""
    reads, operations = state.recorder.statements("reads"), state.recorder.statements("operations")
    wrap_reads(state.engine.reads, lambda sql: reads.time())
    for db in {state.db, state.log_db}:
        db.instrument(lambda sql: operations.time())


def trace(state: AppState, provider: TracerProvider) -> None:
    """Trace operations, statements and calls of other services."""
    settings = state.settings
    tracer = provider.get_tracer("dovetail", settings.app_version)
    statements = StatementTracer(tracer, make_url(settings.database_url))
    wrap_reads(state.engine.reads, statements.span)
    for db in {state.db, state.log_db}:
        db.instrument(statements.span)
    trace_operations(state.engine, tracer, use_names=settings.trusted_documents == "require")
    trace_service(state.storage, "storage", tracer)
    if state.payments:
        trace_service(state.payments, "payments", tracer)
    trace_language_model(state.model, settings.openai_model, tracer)
    state.extract_context = extract_context


def wrap_reads(reads: ReadDatabase, around: Callable[[str], AbstractContextManager[Any]]) -> None:
    """Enter `around(sql)` for each read, the wait for a connection included."""
    execute = reads.fetch_row

    async def row(sql: str, parameters: Sequence[Any]) -> Sequence[str | None]:
        with around(sql):
            return await execute(sql, parameters)

    reads.fetch_row = row
