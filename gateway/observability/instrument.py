"""Installs spans around the parts of a running server, once, when it starts."""

from opentelemetry.trace import TracerProvider
from sqlalchemy import make_url

from gateway.observability.tracing.clients import trace_language_model, trace_service
from gateway.observability.tracing.database import StatementTracer, trace_database, trace_reads
from gateway.observability.tracing.operations import extract_context, trace_operations
from gateway.wiring import Gateway


def instrument(gateway: Gateway, provider: TracerProvider | None) -> None:
    """Trace operations, statements and calls of other services; do nothing without a tracer provider."""
    if provider is None:
        return
    settings = gateway.settings
    tracer = provider.get_tracer("dovetail", settings.app_version)
    statements = StatementTracer(tracer, make_url(settings.database_url))
    trace_reads(gateway.engine.reads, statements)
    for db in {gateway.db, gateway.following}:
        trace_database(db, statements)
    trace_operations(gateway.engine, tracer, use_names=settings.trusted_documents == "require")
    trace_service(gateway.storage, "storage", tracer)
    if gateway.payments:
        trace_service(gateway.payments, "payments", tracer)
    trace_language_model(gateway.model, settings.openai_model, tracer)
    gateway.extract_context = extract_context
