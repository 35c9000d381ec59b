"""A span for each statement, by OpenTelemetry's conventions for databases. Parameters are not told.

What the server asks for itself, such as whether the log has grown, belongs to nobody's request and has no span.
"""

from collections.abc import Sequence
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer
from sqlalchemy import URL, event
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.graphql.databases import ReadDatabase

SYSTEMS = {"postgresql": "postgresql", "sqlite": "sqlite"}
LONGEST = 4_096
"""Characters of a statement that are told."""


class Statements:
    """Begins spans for one database."""

    def __init__(self, tracer: Tracer, url: URL) -> None:
        self.tracer, self.namespace = tracer, (url.database or "").rpartition("/")[2]
        place = {"server.address": url.host, "server.port": url.port or 5432} if url.host else {}
        self.about = {"db.system.name": SYSTEMS[url.get_backend_name()], "db.namespace": self.namespace, **place}

    def begin(self, sql: str) -> Span:
        """A span within that of whoever asks, where there is one."""
        if not trace.get_current_span().get_span_context().is_valid:
            return trace.INVALID_SPAN
        verb = sql.lstrip("( \n").partition(" ")[0].upper()
        told = {**self.about, "db.operation.name": verb, "db.query.text": sql[:LONGEST]}
        return self.tracer.start_span(f"{verb} {self.namespace}", kind=SpanKind.CLIENT, attributes=told)


def fail(span: Span, error: BaseException) -> None:
    """Its words stay out: a database says in them what it was given."""
    span.set_attribute("error.type", type(error).__qualname__)
    span.set_status(StatusCode.ERROR)


def trace_reads(reads: ReadDatabase, statements: Statements) -> None:
    ask = reads.row

    async def row(sql: str, parameters: Sequence[Any]) -> Sequence[str | None]:
        span = statements.begin(sql)
        try:
            return await ask(sql, parameters)
        except BaseException as error:
            fail(span, error)
            raise
        finally:
            span.end()

    reads.row = row


def trace_engine(engine: AsyncEngine, statements: Statements) -> None:
    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def begin(connection: Any, cursor: Any, sql: str, parameters: Any, context: Any, many: bool) -> None:
        context.span = statements.begin(sql)

    @event.listens_for(engine.sync_engine, "after_cursor_execute")
    def end(connection: Any, cursor: Any, sql: str, parameters: Any, context: Any, many: bool) -> None:
        context.span.end()

    @event.listens_for(engine.sync_engine, "handle_error")
    def fail_too(failed: Any) -> None:
        span = getattr(failed.execution_context, "span", trace.INVALID_SPAN)
        fail(span, failed.original_exception)
        span.end()
