"""A span for each SQL statement, by OpenTelemetry's conventions for databases, without the parameters.

Statements outside a request, such as those that read the event log, have no span.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer
from sqlalchemy import URL

MAX_QUERY_TEXT_LENGTH = 4_096


class StatementTracer:
    """Creates the spans of one database's statements."""

    def __init__(self, tracer: Tracer, url: URL) -> None:
        self.tracer, self.namespace = tracer, (url.database or "").rpartition("/")[2]
        server = {"server.address": url.host, "server.port": url.port or 5432} if url.host else {}
        self.attributes = {"db.system.name": url.get_backend_name(), "db.namespace": self.namespace, **server}

    @contextmanager
    def span(self, sql: str) -> Iterator[None]:
        """Open a span for the duration of a statement."""
        span = self.start_span(sql)
        try:
            yield
        except BaseException as error:
            record_error(span, error)
            raise
        finally:
            span.end()

    def start_span(self, sql: str) -> Span:
        """Start a span under the current one; if there is none, return a span that records nothing."""
        if not trace.get_current_span().get_span_context().is_valid:
            return trace.INVALID_SPAN
        verb = sql.lstrip("( \n").partition(" ")[0].upper()
        attributes = {
            **self.attributes,
            "db.operation.name": verb,
            "db.query.text": sql[:MAX_QUERY_TEXT_LENGTH],
        }
        return self.tracer.start_span(f"{verb} {self.namespace}", kind=SpanKind.CLIENT, attributes=attributes)


def record_error(span: Span, error: BaseException) -> None:
    """Mark the span as failed, without the error's message: a database's message contains values."""
    span.set_attribute("error.type", type(error).__qualname__)
    span.set_status(StatusCode.ERROR)
