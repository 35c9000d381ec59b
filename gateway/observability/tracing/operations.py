"""A span for each GraphQL operation, by OpenTelemetry's conventions for GraphQL servers.

They have a span named by the operation's type alone, for clients make names up. Where only trusted documents run, names
are ours, and stand beside it. The document is never told, for it may hold what people wrote.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from opentelemetry import context, propagate
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer

from gateway.graphql.engine import Answer, Engine
from gateway.graphql.request import GraphQLRequest, called
from gateway.http.errors import OF_CODE
from gateway.observability.metrics.recorder import SUBSCRIPTION

NAMELESS = "GraphQL Operation"
CARRIED = "traceparent", "tracestate"

Carrying = Callable[[Mapping[str, str], Any], AbstractContextManager[None]]


def trace_operations(engine: Engine, tracer: Tracer, *, names: bool) -> None:
    """Have the engine's answers, and the beginnings of its subscriptions, be spans. `names`: whether those are ours."""
    answer, subscribe = engine.answer, engine.subscribe

    async def answer_traced(request: GraphQLRequest, *rest: Any) -> Answer:
        with tracer.start_as_current_span(NAMELESS, kind=SpanKind.SERVER) as span:
            found = await answer(request, *rest)
            describe(span, found.kind, found.operation or called(request.operation_name), names=names)
            tell(span, found.errors)
            return found

    async def subscribe_traced(request: GraphQLRequest, *rest: Any) -> Any:
        with tracer.start_as_current_span(NAMELESS, kind=SpanKind.SERVER) as span:
            found = await subscribe(request, *rest)
            describe(span, SUBSCRIPTION, called(request.operation_name), names=names)
            tell(span, found.errors if isinstance(found, Answer) else ())
            return found

    engine.answer, engine.subscribe = answer_traced, subscribe_traced


def describe(span: Span, kind: str, name: str | None, *, names: bool) -> None:
    if kind:
        span.set_attribute("graphql.operation.type", kind)
        span.update_name(f"{kind} {name}" if names and name else kind)
    if name:
        span.set_attribute("graphql.operation.name", name)


def tell(span: Span, codes: Any) -> None:
    """What an operation was refused with. A client's own faults are none of the span's."""
    if codes:
        span.set_attribute("dovetail.codes", list(codes))
    ours = [code for code in codes if OF_CODE[code].status >= 500]
    if ours:
        span.set_attribute("error.type", ours[0])
        span.set_status(StatusCode.ERROR)


def untraced(headers: Mapping[str, str], extensions: Any) -> AbstractContextManager[None]:
    return nullcontext()


@contextmanager
def carried(headers: Mapping[str, str], extensions: Any) -> Any:
    """Go on, for the scope, with the trace that an operation over a socket names, or else its handshake did."""
    given = extensions if isinstance(extensions, dict) else {}
    sources = [source for source in (given, headers) if isinstance(source.get(CARRIED[0]), str)]
    carrier = {name: sources[0].get(name) for name in CARRIED} if sources else {}
    texts = {name: value for name, value in carrier.items() if isinstance(value, str)}
    token = context.attach(propagate.extract(texts))
    try:
        yield
    finally:
        context.detach(token)
