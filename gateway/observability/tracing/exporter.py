"""The exporter of the extra `otel`. Imported only if the environment configures one: its packages are optional."""

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

DEFAULT_SERVICE_PREFIX = "unknown_service"
"""How the SDK's name for a service begins if `OTEL_SERVICE_NAME` is not set."""


def create_provider(version: str) -> TracerProvider:
    """Create a provider whose thread sends spans in batches. The SDK reads its settings from `OTEL_*` variables."""
    provider = TracerProvider(resource=create_resource(version), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def create_resource(version: str) -> Resource:
    resource = Resource.create({SERVICE_VERSION: version})
    if str(resource.attributes[SERVICE_NAME]).startswith(DEFAULT_SERVICE_PREFIX):
        return resource.merge(Resource({SERVICE_NAME: "dovetail"}))
    return resource
