"""Our own way out for spans. Imported only where it is wanted: the packages are optional."""

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

NAMELESS = "unknown_service"


def exporting(version: str) -> TracerProvider:
    """Spans in batches, by a thread of their own; `OTEL_SERVICE_NAME` and the like say who we are, where, how often."""
    provider = TracerProvider(resource=described(version), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def described(version: str) -> Resource:
    found = Resource.create({SERVICE_VERSION: version})
    if str(found.attributes[SERVICE_NAME]).startswith(NAMELESS):
        return found.merge(Resource({SERVICE_NAME: "dovetail"}))
    return found
