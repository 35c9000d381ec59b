"""A server's measures as families of Prometheus' series, made at the moment of asking."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import PROCESS_COLLECTOR
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.graphql.database import Postgres, ReadDatabase
from gateway.observability.metrics.histogram import Histogram
from gateway.wiring import Gateway

Rows = Iterable[tuple[tuple[str, ...], float]]
"""The values of a family's labels, and the number."""

UNNAMED = {(kind, ""): Histogram() for kind in ("mutation", "query")}
"""None of either yet: each type has a series from the start, so that its first operation shows."""


class Readings(Collector):
    """All that one process has to tell. What is named in a label is bounded: routes, types, codes, kinds of our own."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    def collect(self) -> Iterator[Metric]:
        yield from self.answered()
        yield from self.running()
        yield from self.databases()
        yield from self.caches()
        yield from PROCESS_COLLECTOR.collect()

    def answered(self) -> Iterator[Metric]:
        """Requests and operations, and what they were refused."""
        measures, limits = self.gateway.measures, self.gateway.limits
        measures.settle()
        requests = {(m, route, f"{digit}xx"): each for (m, route, digit), each in measures.requests.items()}
        yield durations("http_request", "Requests answered, streams apart", ("method", "route", "status"), requests)
        operations = {**UNNAMED, **measures.operations.all()}
        yield durations("operation", "GraphQL operations, subscriptions apart", ("type", "name"), operations)
        yield durations("stream", "Streams and sockets that have ended", ("kind",), single(measures.streams))
        yield counter("refusals", "Errors that clients were told of, in either protocol", "code", measures.refusals)
        limited = (((name, "passed" if ok else "refused"), times) for (name, ok), times in limits.outcomes.items())
        yield counter("limit_checks", "What the rate limits let pass and what not", ("limit", "outcome"), limited)
        yield counter("webhook_events", "Signed events of Stripe's, by what came of each", "status", measures.webhooks)

    def running(self) -> Iterator[Metric]:
        """What is open, and how far things are."""
        gateway = self.gateway
        yield gauge("info", "Which version runs", {gateway.settings.app_version: 1}, "version")
        yield gauge("requests_in_flight", "Requests that are worked on now", gateway.work.now)
        yield gauge("streams_open", "Streams that are open, whatever their transport", gateway.streams.count)
        yield counter(
            "requests_turned_away", "Refused at once, as there were too many", (), [((), gateway.work.refused)]
        )
        live, followers = len(gateway.hub.live), len(gateway.hub.followers)
        yield gauge("feed_followers", "Who follows the feed", {"live": live, "behind": followers - live}, "state")
        waiting = gateway.engine.subscriptions.waiting
        yield gauge("subscriptions_waiting", "Subscriptions, over any transport, that were told all there is", waiting)
        yield gauge("log_position", "The newest event that has settled", gateway.log.position)
        silence = gateway.engine.answers.silence
        yield gauge("log_silence_seconds", "Since the log was last read to its end; after 5 no cache answers", silence)
        if gateway.redis:
            yield gauge("redis_up", "Whether limits are shared", not gateway.limits.windows.away_until)

    def databases(self) -> Iterator[Metric]:
        """Statements, and the connections that they travel over."""
        gateway, statements = self.gateway, self.gateway.measures.statements
        yield durations("statement", "What was asked of the database, waiting included", ("by",), single(statements))
        reads, pool = load(gateway.engine.reads), gateway.db.pool
        yield counter(
            "reads_coalesced", "Reads that travelled in the statement of another", (), [((), reads["joined"])]
        )
        busy = {"operations": pool.busy, "reads": reads["busy"]}
        yield gauge("pool_busy", "Connections in use", busy, "pool")
        most = {"operations": pool.size, "reads": reads["size"]}
        yield gauge("pool_size", "Connections that there may be; 0 where there is no bound", most, "pool")
        yield gauge("pool_waiting", "Reads that wait for a connection", reads["waiting"])
        yield gauge("database_connections_in_use", "Connections that an operation holds now", pool.busy)

    def caches(self) -> Iterator[Metric]:
        """What was found and what was not, and what is kept, of each cache."""
        caches = self.gateway.engine.caches
        for name, meaning in (("hits", "What was asked for and was there"), ("misses", "What had to be made")):
            yield counter(f"cache_{name}", meaning, "cache", {key: getattr(it, name) for key, it in caches.items()})
        yield gauge("cache_entries", "How many are kept", {key: it.entries for key, it in caches.items()}, "cache")
        yield gauge("cache_bytes", "What they take", {key: it.weight for key, it in caches.items()}, "cache")


def load(reads: ReadDatabase) -> dict[str, int]:
    """How busy the engine's connections are."""
    if isinstance(reads, Postgres):
        it = reads.coalescing
        return {"busy": reads.size - it.free, "size": reads.size, "waiting": len(it.queue), "joined": it.coalesced}
    size = len(reads.connections)
    return {"busy": size - reads.idle.qsize(), "size": size, "waiting": 0, "joined": 0}


def single(series: Mapping[str, Any]) -> dict[tuple[str, ...], Any]:
    return {(name,): each for name, each in series.items()}


def durations(name: str, meaning: str, labels: tuple[str, ...], series: Mapping[tuple[str, ...], Histogram]) -> Metric:
    family = HistogramMetricFamily(f"dovetail_{name}_seconds", meaning, labels=labels)
    for values, each in series.items():
        family.add_metric(values, each.buckets(), each.total)
    return family


def counter(name: str, meaning: str, labels: str | tuple[str, ...], values: Any) -> Metric:
    if isinstance(labels, str):
        labels, values = (labels,), single(values).items()
    family = CounterMetricFamily(f"dovetail_{name}", meaning, labels=labels)
    for key, value in values:
        family.add_metric(key, value)
    return family


def gauge(name: str, meaning: str, value: float | Mapping[str, float], label: str | None = None) -> Metric:
    family = GaugeMetricFamily(f"dovetail_{name}", meaning, labels=(label,) if label else ())
    for key, number in value.items() if label else [(None, value)]:
        family.add_metric((key,) if key else (), number)
    return family
