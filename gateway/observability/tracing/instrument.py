"""Puts spans around a server's parts, once, when it starts: where there are to be none, nothing asks for them."""

from opentelemetry.trace import TracerProvider
from sqlalchemy import make_url

from gateway.observability.tracing.clients import trace_calls, trace_model
from gateway.observability.tracing.database import Statements, trace_database, trace_reads
from gateway.observability.tracing.operations import carried, trace_operations
from gateway.wiring import Gateway


def trace_all(gateway: Gateway, provider: TracerProvider | None) -> None:
    if provider is None:
        return
    settings = gateway.settings
    tracer = provider.get_tracer("dovetail", settings.app_version)
    statements = Statements(tracer, make_url(settings.database_url))
    trace_reads(gateway.engine.reads, statements)
    for db in {gateway.db, gateway.following}:
        trace_database(db, statements)
    trace_operations(gateway.engine, tracer, names=settings.trusted_documents == "require")
    trace_calls(gateway.storage, "storage", tracer)
    if gateway.payments:
        trace_calls(gateway.payments, "payments", tracer)
    trace_model(gateway.model, settings.openai_model, tracer)
    gateway.carried = carried
