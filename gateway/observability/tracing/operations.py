"""A span for each GraphQL operation, by OpenTelemetry's conventions for GraphQL servers.

A span is named by the operation's type, because clients choose operation names. With trusted documents only, the names
are known and follow the type. Spans never contain the document, because it may contain users' texts.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from opentelemetry import context, propagate
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer

from gateway.graphql.engine import Engine, GraphQLResponse
from gateway.graphql.request import GraphQLRequest
from gateway.graphql.response import truncate_name
from gateway.http.errors import ERRORS_BY_CODE
from gateway.observability.metrics.recorder import SUBSCRIPTION

UNNAMED_OPERATION = "GraphQL Operation"
TRACE_CONTEXT_HEADERS = "traceparent", "tracestate"
"""W3C Trace Context."""

ContextExtractor = Callable[[Mapping[str, str], Any], AbstractContextManager[None]]


def trace_operations(engine: Engine, tracer: Tracer, *, use_names: bool) -> None:
    """Trace each operation, and the start of each subscription. `use_names`: put operation names into span names."""
    execute, subscribe = engine.execute, engine.subscribe

    async def execute_in_span(request: GraphQLRequest, *args: Any) -> GraphQLResponse:
        with tracer.start_as_current_span(UNNAMED_OPERATION, kind=SpanKind.SERVER) as span:
            result = await execute(request, *args)
            name = result.operation or truncate_name(request.operation_name)
            set_operation_attributes(span, result.kind, name, use_names=use_names)
            set_error(span, result.errors)
            return result

    async def subscribe_in_span(request: GraphQLRequest, *args: Any) -> Any:
        with tracer.start_as_current_span(UNNAMED_OPERATION, kind=SpanKind.SERVER) as span:
            result = await subscribe(request, *args)
            set_operation_attributes(span, SUBSCRIPTION, truncate_name(request.operation_name), use_names=use_names)
            set_error(span, result.errors if isinstance(result, GraphQLResponse) else ())
            return result

    engine.execute, engine.subscribe = execute_in_span, subscribe_in_span


def set_operation_attributes(span: Span, kind: str, name: str | None, *, use_names: bool) -> None:
    if kind:
        span.set_attribute("graphql.operation.type", kind)
        span.update_name(f"{kind} {name}" if use_names and name else kind)
    if name:
        span.set_attribute("graphql.operation.name", name)


def set_error(span: Span, codes: Sequence[str]) -> None:
    """Add the error codes to the span. Only server errors (status 500 and above) mark it as failed."""
    if codes:
        span.set_attribute("dovetail.codes", list(codes))
    server_errors = [code for code in codes if ERRORS_BY_CODE[code].status >= 500]
    if server_errors:
        span.set_attribute("error.type", server_errors[0])
        span.set_status(StatusCode.ERROR)


def no_context(headers: Mapping[str, str], extensions: Any) -> AbstractContextManager[None]:
    """Do nothing: the `ContextExtractor` of a server that is not traced."""
    return nullcontext()


@contextmanager
def extract_context(headers: Mapping[str, str], extensions: Any) -> Iterator[None]:
    """Continue the trace that an operation over a WebSocket names in its extensions, or else in the handshake."""
    candidates = extensions if isinstance(extensions, dict) else {}, headers
    sources = [source for source in candidates if isinstance(source.get("traceparent"), str)]
    carrier = {name: sources[0].get(name) for name in TRACE_CONTEXT_HEADERS} if sources else {}
    carrier = {name: value for name, value in carrier.items() if isinstance(value, str)}
    token = context.attach(propagate.extract(carrier))
    try:
        yield
    finally:
        context.detach(token)
