"""Counts and durations of this process's requests, operations, streams, errors and statements."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from gateway.http.errors import OF_CODE
from gateway.http.request_state import Visit
from gateway.observability.metrics.bounded_labels import OTHER, BoundedSeries
from gateway.observability.metrics.histogram import STREAM_BUCKETS, Histogram
from models import WebhookStatus

METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
SUBSCRIPTION = "subscription"
FLUSH_SIZE = 200
"""Requests that are counted in one batch: half the cost of counting each one as it ends."""


def zero_counter(labels: Iterable[Any]) -> Counter[Any]:
    """Return a counter that has every label at 0: Prometheus sees no increase in a series that starts at 1."""
    return Counter(dict.fromkeys(labels, 0))


class MetricsRecorder:
    """The counts of one process since it started."""

    def __init__(self) -> None:
        self.pending: list[tuple[str, Any, Visit, float]] = []
        """Requests that have ended but are not counted yet."""
        self.requests: defaultdict[tuple[str, str, int], Histogram] = defaultdict(Histogram)
        """Durations by method, route and first digit of the status."""
        self.streams: defaultdict[str, Histogram] = defaultdict(partial(Histogram, STREAM_BUCKETS))
        """Durations by kind of the streams that have ended."""
        self.operations = BoundedSeries()
        self.errors = zero_counter(OF_CODE)
        """Errors by code, in either protocol."""
        self.webhook_events = zero_counter(status.value for status in WebhookStatus)
        self.statements = {"reads": Histogram(), "operations": Histogram()}

    def record_request(self, scope: Any, visit: Visit, seconds: float) -> None:
        self.pending.append((scope["method"], scope.get("route"), visit, seconds))
        if len(self.pending) >= FLUSH_SIZE:
            self.flush()

    def flush(self) -> None:
        """Count the pending requests."""
        for method, route, visit, seconds in self.pending:
            if visit.stream:
                self.streams[visit.stream].observe(seconds)
            else:
                labels = method if method in METHODS else OTHER, route.path if route else OTHER
                self.requests[*labels, visit.status // 100].observe(seconds)
            self.record_operation(visit, seconds)
        self.pending.clear()

    @contextmanager
    def time_stream(self, kind: str) -> Iterator[None]:
        """Record the duration of a stream that is not an HTTP request, such as a WebSocket."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.streams[kind].observe(time.perf_counter() - started)

    def record_operation(self, visit: Visit, seconds: float) -> None:
        """Record a GraphQL operation and the codes of its errors. Subscriptions are recorded as streams only."""
        if visit.kind and visit.kind != SUBSCRIPTION:
            self.operations.observe(visit.kind, visit.operation or "", seconds)
        for code in visit.codes:
            self.errors[code] += 1
