"""What FastAPI's span of a request does not know, or should not tell."""

from opentelemetry import trace
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.http.request_state import visit_of

QUERY = "url.query"
REDACTED = "REDACTED"


class Traced:
    """Takes the query string out of a request's span, where documents and variables may be, and names it by its route.

    FastAPI does not see which route it was where we go straight there.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        span = trace.get_current_span()
        if scope["type"] != "http" or not span.is_recording():
            return await self.app(scope, receive, send)
        span.set_attribute("dovetail.request_id", visit_of(scope).request_id)
        if scope["query_string"]:
            span.set_attribute(QUERY, REDACTED)

        async def send_named(message: Message) -> None:
            route = scope.get("route")
            if message["type"] == "http.response.start" and route:
                span.update_name(f"{scope['method']} {route.path}")
                span.set_attribute("http.route", route.path)
            await send(message)

        return await self.app(scope, receive, send_named)


def traces() -> dict[str, str]:
    """Which span a log line was written in."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {"traceId": f"{context.trace_id:032x}", "spanId": f"{context.span_id:016x}"}
