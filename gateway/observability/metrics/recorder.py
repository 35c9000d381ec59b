"""The metrics of this process that are counted as things happen: requests, operations, streams, errors, statements."""

from collections.abc import Iterable
from functools import cache
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics

from gateway.http.errors import ERRORS_BY_CODE
from gateway.http.request_state import RequestState
from gateway.observability.metrics.bounded_labels import OTHER, BoundedSeries
from models import WebhookStatus

METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
SUBSCRIPTION = "subscription"
REQUEST_BUCKETS = 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0
"""Upper bounds in seconds, for requests, operations and statements."""
STREAM_BUCKETS = 1.0, 10.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 43200.0
"""Upper bounds in seconds, for streams and WebSockets."""

disable_created_metrics()  # a second series for each series, which no rule and no panel reads


class MetricsRecorder:
    """The counts of one process since it started."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        requests = self._histogram("http_request", "HTTP requests, except streams", ("method", "route", "status"))
        operations = self._histogram("operation", "GraphQL queries and mutations", ("type", "name"))
        streams = self._histogram("stream", "Streams and WebSockets that have ended", ("kind",), STREAM_BUCKETS)
        statements = self._histogram("statement", "SQL statements, the wait for a connection included", ("by",))
        # `labels` takes a lock; its cache saves 4 of T's 97 µs.
        self.requests, self.streams, self.statements = cache(requests.labels), cache(streams.labels), statements.labels
        self.operations = BoundedSeries(operations)
        self.errors = self._counter(
            "refusals", "Errors in responses of both protocols, by code", "code", ERRORS_BY_CODE
        )
        self.webhook_events = self._counter(
            "webhook_events",
            "Stripe events with a valid signature, by status",
            "status",
            (status.value for status in WebhookStatus),
        )
        for type_ in ("mutation", "query"):
            operations.labels(type_, "")

    def _histogram(
        self, name: str, help: str, labels: tuple[str, ...], buckets: tuple[float, ...] = REQUEST_BUCKETS
    ) -> Histogram:
        return Histogram(f"dovetail_{name}_seconds", help, labels, buckets=buckets, registry=self.registry)

    def _counter(self, name: str, help: str, label: str, values: Iterable[str]) -> Counter:
        """Create a counter with all its series at 0: Prometheus sees no increase in a series that starts at 1."""
        counter = Counter(f"dovetail_{name}", help, (label,), registry=self.registry)
        for value in values:
            counter.labels(value)
        return counter

    def record_request(self, scope: Any, state: RequestState, seconds: float) -> None:
        """Record an HTTP request, or the stream that was its response, and its GraphQL operation."""
        if state.stream:
            self.streams(state.stream).observe(seconds)
        else:
            method, route = scope["method"], scope.get("route")
            labels = method if method in METHODS else OTHER, route.path if route else OTHER
            self.requests(*labels, f"{state.status // 100}xx").observe(seconds)
        self.record_operation(state, seconds)

    def record_operation(self, state: RequestState, seconds: float) -> None:
        """Record a GraphQL operation and the codes of its errors. Subscriptions are recorded as streams only."""
        if state.operation_type and state.operation_type != SUBSCRIPTION:
            self.operations.labels(state.operation_type, state.operation or "").observe(seconds)
        for code in state.codes:
            self.errors.labels(code).inc()
