"""Spans for calls of other services: payments, storage and the language model."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from functools import wraps
from typing import Any

from opentelemetry.trace import SpanKind, Tracer

from gateway.observability.tracing.database import record_error
from resolvers.ports import LanguageModel

TRACED_METHODS = {"payments": ("create_session",), "storage": ("put", "open", "size", "remove")}
"""The methods of each port that call another service."""


def trace_service(port: Any, name: str, tracer: Tracer) -> None:
    """Trace the calls of a port; the spans are named by the port and its method."""
    for method in TRACED_METHODS[name]:
        setattr(port, method, trace_call(getattr(port, method), f"{name} {method}", tracer))


def trace_call(call: Callable[..., Awaitable[Any]], name: str, tracer: Tracer) -> Callable[..., Awaitable[Any]]:
    @wraps(call)
    async def wrapper(*args: Any, **kw: Any) -> Any:
        with tracer.start_as_current_span(name, kind=SpanKind.CLIENT, record_exception=False) as span:
            try:
                return await call(*args, **kw)
            except Exception as error:
                record_error(span, error)
                raise

    return wrapper


def trace_language_model(model: LanguageModel, name: str, tracer: Tracer) -> None:
    """Trace chat completions by OpenTelemetry's conventions for generative AI, without the messages."""
    answer = model.answer
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": name}

    async def wrapper(messages: Sequence[Mapping[str, str]]) -> AsyncGenerator[str, None]:
        span, chunks = tracer.start_span(f"chat {name}", kind=SpanKind.CLIENT, attributes=attributes), answer(messages)
        try:
            async for chunk in chunks:
                yield chunk
        except Exception as error:
            record_error(span, error)
            raise
        finally:
            await chunks.aclose()
            span.end()

    model.answer = wrapper
