"""A span for each call of the services behind ports: payments, storage, the language model.

The instrumentations of HTTP clients do not see them all: obstore is no Python, and openai's client is not httpx.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from functools import wraps
from typing import Any

from opentelemetry.trace import SpanKind, Tracer

from gateway.observability.tracing.database import fail
from resolvers.ports import LanguageModel

ASKED = {"payments": ("open",), "storage": ("put", "open", "size", "remove")}
"""What is asked of each."""


def trace_calls(port: Any, name: str, tracer: Tracer) -> None:
    for method in ASKED[name]:
        setattr(port, method, traced(getattr(port, method), f"{name} {method}", tracer))


def traced(call: Any, name: str, tracer: Tracer) -> Any:
    @wraps(call)
    async def calling(*args: Any, **kw: Any) -> Any:
        with tracer.start_as_current_span(name, kind=SpanKind.CLIENT, record_exception=False) as span:
            try:
                return await call(*args, **kw)
            except Exception as error:
                fail(span, error)
                raise

    return calling


def trace_model(model: LanguageModel, name: str, tracer: Tracer) -> None:
    """By the conventions for generative models; what people and models said is not told."""
    answer = model.answer
    about = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": name}

    async def answering(messages: Sequence[Mapping[str, str]]) -> AsyncGenerator[str, None]:
        span, words = tracer.start_span(f"chat {name}", kind=SpanKind.CLIENT, attributes=about), answer(messages)
        try:
            async for piece in words:
                yield piece
        except Exception as error:
            fail(span, error)
            raise
        finally:
            await words.aclose()
            span.end()

    model.answer = answering
