"""Corrects the span that FastAPI creates for each HTTP request."""

from opentelemetry import trace
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.http.request_state import get_request_state

REDACTED = "REDACTED"


class TraceMiddleware:
    """Adds the request id and the route to a request's span, and removes the query string.

    A query string may contain documents and variables. FastAPI does not know the route of a request that bypasses its
    router (`gateway.http.routing`).
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        span = trace.get_current_span()
        if scope["type"] != "http" or not span.is_recording():
            return await self.app(scope, receive, send)
        span.set_attribute("dovetail.request_id", get_request_state(scope).request_id)
        if scope["query_string"]:
            span.set_attribute("url.query", REDACTED)

        async def send_with_route(message: Message) -> None:
            route = scope.get("route")
            if message["type"] == "http.response.start" and route:
                span.update_name(f"{scope['method']} {route.path}")
                span.set_attribute("http.route", route.path)
            await send(message)

        return await self.app(scope, receive, send_with_route)


def trace_ids() -> dict[str, str]:
    """Return the fields `traceId` and `spanId` for a log line; none outside a span."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {"traceId": f"{context.trace_id:032x}", "spanId": f"{context.span_id:016x}"}
