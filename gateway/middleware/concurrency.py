"""Overload: a process works on so many requests at once. One more is turned away now, rather than kept waiting."""

from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.http.errors import error_response
from gateway.http.request_state import get_request_state, noop
from models.errors import Unavailable

EXEMPT_PATHS = ("/api/health", "/api/health/live", "/api/health/ready", "/metrics")
"""Whoever looks after a server that has too much to do must be able to see it."""

BUSY = "Too many requests at once; try again"
ADMITTED = "gateway.admitted"
"""In a request's scope, whether there was room for it when it arrived."""
STATE = "gateway.work"
"""Where connections find the process's work, in the state that is theirs and the application's."""


class InFlight:
    """What a process has in hand."""

    def __init__(self, most: int) -> None:
        self.most, self.now, self.refused = most, 0, 0
        self.waiting = 0
        """Requests that have arrived, and of which nothing has been done: the event loop has others before them."""

    def enqueue(self) -> bool:
        """One more is waiting; whether there is room for it."""
        self.waiting += 1
        return self.waiting + self.now <= self.most

    @contextmanager
    def slot(self) -> Iterator[None]:
        """One piece of it more. Raises `Unavailable` where that would be too much."""
        if self.now >= self.most:
            raise self.overloaded()
        self.now += 1
        try:
            yield
        finally:
            self.now -= 1

    def overloaded(self) -> Unavailable:
        self.refused += 1
        return Unavailable(BUSY)


class ConcurrencyLimit:
    """Counts the requests that are worked on: from when all of one has arrived until its answer begins.

    Slow senders, slow readers and streams keep nobody busy, and so do not count.
    """

    def __init__(self, app: ASGIApp, work: InFlight) -> None:
        self.app, self.work = app, work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        work = self.work
        if scope["type"] != "http" or scope["path"] in EXEMPT_PATHS:
            return await self.app(scope, receive, send)
        if not scope.get(ADMITTED, work.now < work.most):
            return await error_response(scope, work.overloaded())(scope, receive, send)
        busy, visit = InFlightRequest(work, receive), get_request_state(scope)
        visit.on_response = busy.end
        try:
            return await self.app(scope, busy.receive, send)
        finally:
            busy.end()
            visit.on_response = noop  # visits are kept for a while, to be counted


class InFlightRequest:
    """A request that is worked on."""

    __slots__ = "counts", "inner", "work"

    def __init__(self, work: InFlight, receive: Receive) -> None:
        self.work, self.inner, self.counts = work, receive, True
        work.now += 1

    def end(self) -> None:
        if self.counts:
            self.counts = False
            self.work.now -= 1

    async def receive(self) -> Message:
        """While it waits for its sender it is no work."""
        if not self.counts:
            return await self.inner()
        self.work.now -= 1
        try:
            return await self.inner()
        finally:
            self.work.now += 1
