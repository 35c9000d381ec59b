"""What Prometheus collects, read at the moment of asking. Each process answers for itself."""

from collections.abc import Iterator

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
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
    """Streams that are open, how far the event log is, what caches are good for, and database connections in use."""
    registry = CollectorRegistry()
    registry.register(Readings(gateway_of(request)))
    return Response(generate_latest(registry), media_type=None, headers={"Content-Type": CONTENT_TYPE_LATEST})


class Readings(Collector):
    """A gateway's gauges and counts."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    def collect(self) -> Iterator[Metric]:
        streams, log, pool = self.gateway.streams, self.gateway.log, self.gateway.db.engine.pool
        yield gauge("streams_open", "Streams that are open, whatever their transport", streams.count)
        yield gauge("log_position", "The newest event that has settled", log.position)
        yield gauge("requests_in_flight", "Requests that are worked on now", self.gateway.work.now)
        yield gauge("database_connections_in_use", "Connections that an operation holds now", pool.checkedout())
        silence = self.gateway.engine.answers.silence
        yield gauge("log_silence_seconds", "Since the log was last read to its end; after 5 no cache answers", silence)
        yield from self.caches()

    def caches(self) -> Iterator[Metric]:
        """What was found and what was not, and what is kept, of each cache."""
        families = {
            "hits": CounterMetricFamily("dovetail_cache_hits", "What was asked for and was there", labels=["cache"]),
            "misses": CounterMetricFamily("dovetail_cache_misses", "What had to be made", labels=["cache"]),
            "entries": GaugeMetricFamily("dovetail_cache_entries", "How many are kept", labels=["cache"]),
            "weight": GaugeMetricFamily("dovetail_cache_bytes", "What they take", labels=["cache"]),
        }
        for name, cache in self.gateway.engine.caches.items():
            for attribute, family in families.items():
                family.add_metric([name], getattr(cache, attribute))
        yield from families.values()


def gauge(name: str, meaning: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"dovetail_{name}", meaning, value)
