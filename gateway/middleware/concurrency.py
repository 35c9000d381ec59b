"""Load shedding: a process handles a limited number of requests at once, and rejects more instead of queueing them."""

from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.http.errors import error_response
from gateway.http.request_state import get_request_state, noop
from models.errors import Unavailable

EXEMPT_PATHS = ("/api/health", "/api/health/live", "/api/health/ready", "/metrics")
"""Paths for monitoring, which must work under overload."""

ADMITTED = "gateway.admitted"
"""The key in a request's scope for whether a slot was free when the request arrived."""
LIFESPAN_KEY = "gateway.in_flight"
"""The key in the lifespan state, where the server's connections find the `InFlight`."""


class InFlight:
    """The requests that a process handles at the moment."""

    def __init__(self, limit: int) -> None:
        self.limit, self.count, self.rejected = limit, 0, 0
        self.waiting = 0
        """Requests that have arrived, but wait for the event loop."""

    def enqueue(self) -> bool:
        """Count a request that waits. Return whether there is a slot for it."""
        self.waiting += 1
        return self.waiting + self.count <= self.limit

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Occupy a slot in the scope. Raises `Unavailable` if none is free."""
        if self.count >= self.limit:
            raise self.reject()
        self.count += 1
        try:
            yield
        finally:
            self.count -= 1

    def reject(self) -> Unavailable:
        """Count a rejected request, and return its error."""
        self.rejected += 1
        return Unavailable("Too many requests at once; try again")


class ConcurrencyLimit:
    """Limits the requests that are handled at once: from the end of the request's body to the start of its response.

    Slow senders, slow receivers and streams do not count, because they keep the process no busier.
    """

    def __init__(self, app: ASGIApp, in_flight: InFlight) -> None:
        self.app, self.in_flight = app, in_flight

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        in_flight = self.in_flight
        if scope["type"] != "http" or scope["path"] in EXEMPT_PATHS:
            return await self.app(scope, receive, send)
        if not scope.get(ADMITTED, in_flight.count < in_flight.limit):
            return await error_response(scope, in_flight.reject())(scope, receive, send)
        request, state = InFlightRequest(in_flight, receive), get_request_state(scope)
        state.on_response = request.end
        try:
            return await self.app(scope, request.receive, send)
        finally:
            request.end()
            state.on_response = noop  # breaks a reference cycle


class InFlightRequest:
    """A request that occupies a slot, except while it waits for its sender."""

    __slots__ = "in_flight", "inner", "is_counted"

    def __init__(self, in_flight: InFlight, receive: Receive) -> None:
        self.in_flight, self.inner, self.is_counted = in_flight, receive, True
        in_flight.count += 1

    def end(self) -> None:
        """Free the slot, once."""
        if self.is_counted:
            self.is_counted = False
            self.in_flight.count -= 1

    async def receive(self) -> Message:
        if not self.is_counted:
            return await self.inner()
        self.in_flight.count -= 1
        try:
            return await self.inner()
        finally:
            self.in_flight.count += 1
