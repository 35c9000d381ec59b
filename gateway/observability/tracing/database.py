"""A span for each statement, by OpenTelemetry's conventions for databases. Parameters are not told.

What the server asks for itself, such as whether the log has grown, belongs to nobody's request and has no span.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer
from sqlalchemy import URL

from gateway.graphql.database import ReadDatabase
from models import Database
from models.database.pool import Answer, Connection

SYSTEMS = {"postgresql": "postgresql", "sqlite": "sqlite"}
LONGEST = 4_096
"""Characters of a statement that are told."""


class Statements:
    """Begins spans for one database."""

    def __init__(self, tracer: Tracer, url: URL) -> None:
        self.tracer, self.namespace = tracer, (url.database or "").rpartition("/")[2]
        place = {"server.address": url.host, "server.port": url.port or 5432} if url.host else {}
        self.about = {"db.system.name": SYSTEMS[url.get_backend_name()], "db.namespace": self.namespace, **place}

    @contextmanager
    def told(self, sql: str) -> Iterator[None]:
        """Around a statement."""
        span = self.begin(sql)
        try:
            yield
        except BaseException as error:
            fail(span, error)
            raise
        finally:
            span.end()

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
        with statements.told(sql):
            return await ask(sql, parameters)

    reads.row = row


def trace_database(db: Database, statements: Statements) -> None:
    ask = db.ask

    async def asked(connection: Connection, sql: str, parameters: Sequence[Any], *, rows: bool | None) -> Answer:
        with statements.told(sql):
            return await ask(connection, sql, parameters, rows=rows)

    db.ask = asked
