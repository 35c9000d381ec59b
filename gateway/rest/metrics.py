"""What Prometheus collects, read at the moment of asking. Each process answers for itself."""

from collections.abc import Iterator

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from gateway.context import gateway_of
from gateway.rest.routes import router_of
from gateway.wiring import Gateway

router = router_of("/metrics", "Health", admitting=False)

TEXT = {200: {"description": "Prometheus' text format", "content": {"text/plain": {"schema": {"type": "string"}}}}}


@router.get("", response_class=Response, responses=TEXT)
async def metrics(request: Request) -> Response:
    """How many streams are open, how far the event log is, and how many database connections are in use."""
    registry = CollectorRegistry()
    registry.register(Readings(gateway_of(request)))
    return Response(generate_latest(registry), media_type=None, headers={"Content-Type": CONTENT_TYPE_LATEST})


class Readings(Collector):
    """A gateway's gauges."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    def collect(self) -> Iterator[GaugeMetricFamily]:
        streams, log, pool = self.gateway.streams, self.gateway.log, self.gateway.db.engine.pool
        yield gauge("streams_open", "Streams that are open, whatever their transport", streams.count)
        yield gauge("log_position", "The newest event that has settled", log.position)
        yield gauge("database_connections_in_use", "Connections that an operation holds now", pool.checkedout())


def gauge(name: str, meaning: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"dovetail_{name}", meaning, value)
