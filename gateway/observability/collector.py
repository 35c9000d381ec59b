"""The metric families of one process, built from its parts when `/metrics` is scraped."""

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import PROCESS_COLLECTOR
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.graphql.database import Postgres, ReadDatabase
from gateway.state import AppState


class GatewayCollector(Collector):
    """All metrics of one process. Every label has a bounded number of values."""

    def __init__(self, state: AppState) -> None:
        self.state = state

    def collect(self) -> Iterator[Metric]:
        yield from self.request_metrics()
        yield from self.process_metrics()
        yield from self.database_metrics()
        yield from self.cache_metrics()
        yield from PROCESS_COLLECTOR.collect()

    def request_metrics(self) -> Iterator[Metric]:
        """Yield what has been served, and with which errors."""
        yield from self.state.recorder.registry.collect()
        outcomes = self.state.limits.outcomes.items()
        limited = (((name, "passed" if ok else "refused"), times) for (name, ok), times in outcomes)
        yield counter("limit_checks", "Rate limit checks, by limit and outcome", ("limit", "outcome"), limited)

    def process_metrics(self) -> Iterator[Metric]:
        """Yield what is open now, and how current the event log is."""
        state = self.state
        yield gauge("info", "Version of the application", {state.settings.app_version: 1}, "version")
        yield gauge("requests_in_flight", "Requests in progress", state.in_flight.count)
        yield gauge("streams_open", "Open streams and WebSockets", state.streams.count)
        help = "Requests rejected because too many were in flight"
        yield counter("requests_turned_away", help, (), [((), state.in_flight.rejected)])
        live, subscribers = len(state.broadcaster.up_to_date), len(state.broadcaster.subscribers)
        by_state = {"live": live, "behind": subscribers - live}
        yield gauge("feed_followers", "Subscribers of the event feed, up to date or catching up", by_state, "state")
        waiting = state.engine.subscriptions.waiting
        yield gauge("subscriptions_waiting", "GraphQL subscriptions that have sent every event so far", waiting)
        yield gauge("log_position", "Id of the newest event that was read from the event log", state.log.position)
        silence = state.engine.response_cache.seconds_since_log_read
        help = "Time since the event log was last read to its end; caches are bypassed after 5 seconds"
        yield gauge("log_silence_seconds", help, silence)
        if state.redis:
            yield gauge("redis_up", "1 if rate limits are shared in Redis", state.limits.limiter.is_redis_up)

    def database_metrics(self) -> Iterator[Metric]:
        """Yield the pools of database connections, and the reads that share a statement."""
        reads, pool = pool_stats(self.state.engine.reads), self.state.db.engine.pool
        help = "Reads that were sent to the database in one statement with others"
        yield counter("reads_coalesced", help, (), [((), reads["joined"])])
        busy = {"operations": pool.checkedout(), "reads": reads["busy"]}
        yield gauge("pool_busy", "Database connections in use", busy, "pool")
        size = {"operations": pool.size(), "reads": reads["size"]}
        yield gauge("pool_size", "Maximum number of database connections; 0 means no limit", size, "pool")
        yield gauge("pool_waiting", "Reads that wait for a database connection", reads["waiting"])
        yield gauge("database_connections_in_use", "Database connections that transactions use now", pool.checkedout())

    def cache_metrics(self) -> Iterator[Metric]:
        """Yield the hits, misses and sizes of each cache."""
        caches = self.state.engine.caches
        yield counter("cache_hits", "Cache hits", "cache", {name: cache.hits for name, cache in caches.items()})
        yield counter("cache_misses", "Cache misses", "cache", {name: cache.misses for name, cache in caches.items()})
        entries = {name: cache.entries for name, cache in caches.items()}
        yield gauge("cache_entries", "Entries in the cache", entries, "cache")
        yield gauge(
            "cache_bytes", "Bytes in the cache", {name: cache.weight for name, cache in caches.items()}, "cache"
        )


def pool_stats(reads: ReadDatabase) -> dict[str, int]:
    """Return how many of the read engine's connections there are and are busy, and how many reads wait or share one."""
    if isinstance(reads, Postgres):
        it = reads.batcher
        return {"busy": reads.size - it.free, "size": reads.size, "waiting": len(it.queue), "joined": it.coalesced}
    size = len(reads.connections)
    return {"busy": size - reads.idle.qsize(), "size": size, "waiting": 0, "joined": 0}


def counter(name: str, help: str, labels: str | tuple[str, ...], values: Any) -> Metric:
    if isinstance(labels, str):
        labels, values = (labels,), (((key,), value) for key, value in values.items())
    family = CounterMetricFamily(f"dovetail_{name}", help, labels=labels)
    for key, value in values:
        family.add_metric(key, value)
    return family


def gauge(name: str, help: str, value: float | Mapping[str, float], label: str | None = None) -> Metric:
    family = GaugeMetricFamily(f"dovetail_{name}", help, labels=(label,) if label else ())
    for key, number in value.items() if label else [(None, value)]:
        family.add_metric((key,) if key else (), number)
    return family
