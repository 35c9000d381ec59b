"""What happens in this process, counted where it ends."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from gateway.http.errors import OF_CODE
from gateway.http.request_state import Visit
from gateway.observability.metrics.bounded_labels import OTHER, Named
from gateway.observability.metrics.histogram import LONG, Histogram
from models import WebhookStatus

METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
SUBSCRIPTION = "subscription"
TOGETHER = 200
"""Requests that are counted in one go: that costs half of what counting each as it ends would, between all else."""


def from_zero(names: Iterable[Any]) -> Counter[Any]:
    """Series that are there before they count: Prometheus sees no rise in one that begins with its first failure."""
    return Counter(dict.fromkeys(names, 0))


class Measures:
    """One process's counts since it started."""

    def __init__(self) -> None:
        self.ended: list[tuple[str, Any, Visit, float]] = []
        self.requests: defaultdict[tuple[str, str, int], Histogram] = defaultdict(Histogram)
        """By method, route, and the first digit of the status."""
        self.streams: defaultdict[str, Histogram] = defaultdict(partial(Histogram, LONG))
        """By kind, those that have ended."""
        self.operations = Named()
        self.refusals = from_zero(OF_CODE)
        """By code, in either protocol."""
        self.webhooks = from_zero(status.value for status in WebhookStatus)
        """By what came of each event."""
        self.statements = {"reads": Histogram(), "operations": Histogram()}

    def visited(self, scope: Any, visit: Visit, seconds: float) -> None:
        """A request has been answered."""
        self.ended.append((scope["method"], scope.get("route"), visit, seconds))
        if len(self.ended) >= TOGETHER:
            self.settle()

    def settle(self) -> None:
        """Count what has ended."""
        for method, route, visit, seconds in self.ended:
            if visit.stream:
                self.streams[visit.stream].observe(seconds)
            else:
                place = method if method in METHODS else OTHER, route.path if route else OTHER
                self.requests[*place, visit.status // 100].observe(seconds)
            self.operated(visit, seconds)
        self.ended.clear()

    @contextmanager
    def open(self, kind: str) -> Iterator[None]:
        """A stream that is no request, for the scope."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.streams[kind].observe(time.perf_counter() - started)

    def operated(self, visit: Visit, seconds: float) -> None:
        """An operation has come to its end, and what it was refused with. Of one that goes on its stream tells."""
        if visit.kind and visit.kind != SUBSCRIPTION:
            self.operations.observe(visit.kind, visit.operation or "", seconds)
        for code in visit.codes:
            self.refusals[code] += 1
