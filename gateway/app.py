"""The application factory: routes, middleware, lifespan."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from typing import Any

from fastapi import FastAPI
from opentelemetry.trace import TracerProvider
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import Lifespan

from gateway.http import errors
from gateway.http.content_negotiation import GRAPHQL_PATH
from gateway.http.routing import DovetailApp
from gateway.limits.open_streams import OpenStreams
from gateway.middleware.body_limit import BodyLimitMiddleware
from gateway.middleware.concurrency import LIFESPAN_KEY, ConcurrencyLimit, InFlight
from gateway.middleware.request_state import RequestStateMiddleware
from gateway.observability import instrument
from gateway.observability.collector import GatewayCollector
from gateway.observability.logging import configure_logging
from gateway.observability.metrics.multiprocess import serve_metrics
from gateway.observability.metrics.recorder import MetricsRecorder
from gateway.observability.tracing.http import TraceMiddleware, trace_ids
from gateway.observability.tracing.provider import flush_spans, get_tracer_provider, telemetry_options
from gateway.pages import page_routes
from gateway.rest import auth, chat, events, files, health, metrics, posts, uploads, webhooks
from gateway.rest.framework import openapi
from gateway.rest.framework.multipart import max_body_bytes
from gateway.rest.framework.queries import STATIC_QUERIES
from gateway.rest.framework.request_cache import RequestCache
from gateway.settings import Settings
from gateway.transports.http.endpoint import METHODS, GraphQLEndpoint
from gateway.transports.websocket.endpoint import GraphQLWebSocketEndpoint
from gateway.wiring import open_app, tune_gc
from schema import schema

CORS_EXPOSE_HEADERS = (
    "Accept-Ranges",
    "Content-Disposition",
    "Content-Range",
    "ETag",
    "Idempotency-Replayed",
    "Location",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "WWW-Authenticate",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
    "X-Request-ID",
)
"""Response headers that scripts of other origins may read."""

RunningContext = Callable[[OpenStreams], AbstractContextManager[Any]]
"""A context manager around a running application, given its open streams."""


def create_app(settings: Settings | None = None, *, while_running: RunningContext = nullcontext) -> FastAPI:
    """Create an application from these settings, or from the environment. Raises `InvalidSettings`.

    `while_running`: entered when startup is complete; the server handles its signals there.
    """
    settings, recorder = settings or Settings(), MetricsRecorder()
    in_flight, provider = InFlight(settings.max_in_flight), get_tracer_provider(settings.app_version)
    app = DovetailApp(
        title="Dovetail",
        description="The REST half; what front ends read, write and follow is at `/graphql`.",
        version=settings.app_version,
        lifespan=lifespan(settings, in_flight, recorder, provider, while_running),
        outer_middleware=middleware(settings, in_flight, recorder, is_traced=provider is not None),
        is_traced=provider is not None,
        telemetry=telemetry_options(provider),
        routes=routes(settings),
        openapi_url=None,
        openapi_tags=openapi.TAGS,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    errors.add_exception_handlers(app)
    openapi.customize_openapi(app, settings, schema._schema)
    return app


def lifespan(
    settings: Settings,
    in_flight: InFlight,
    recorder: MetricsRecorder,
    provider: TracerProvider | None,
    while_running: RunningContext,
) -> Lifespan[FastAPI]:
    """Return the lifespan: open all parts, instrument them, and close them at shutdown."""

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[dict[str, InFlight]]:
        configure_logging(as_json=settings.in_production, extra_fields=trace_ids if provider else dict)
        async with (
            flush_spans(provider),
            open_app(settings, in_flight, recorder) as state,
            serve_metrics(GatewayCollector(state)),
        ):
            app.state.gateway = state
            app.state.request_cache = RequestCache(state.engine.response_cache)
            state.engine.prepare(STATIC_QUERIES)
            instrument.measure(state)
            if provider:
                instrument.trace(state, provider)
            tune_gc()
            with while_running(state.streams):
                yield {LIFESPAN_KEY: in_flight}

    return running


def middleware(
    settings: Settings, in_flight: InFlight, recorder: MetricsRecorder, *, is_traced: bool
) -> list[Middleware]:
    """Return the middleware, outermost first."""
    cors = Middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origins,
        allow_methods=["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"],
        allow_headers=["*"],
        allow_credentials=True,
        expose_headers=CORS_EXPOSE_HEADERS,
    )
    streaming_limits = {uploads.PATH: max_body_bytes(settings.upload_max_bytes)}
    return [
        Middleware(RequestStateMiddleware, recorder, settings.trusted_proxies if settings.in_production else None),
        *([Middleware(TraceMiddleware)] if is_traced else []),
        *([cors] if settings.cors_origins else []),
        Middleware(ConcurrencyLimit, in_flight),
        Middleware(BodyLimitMiddleware, settings.max_body_bytes, streaming_limits),
    ]


def routes(settings: Settings) -> list[BaseRoute]:
    """Return all routes in one list: `include_router` makes FastAPI match each of its routes twice."""
    return [
        Route(GRAPHQL_PATH, GraphQLEndpoint(), methods=METHODS, include_in_schema=False),
        WebSocketRoute(GRAPHQL_PATH, GraphQLWebSocketEndpoint()),
        *posts.router.routes,
        *auth.router.routes,
        *events.router.routes,
        *chat.router.routes,
        *webhooks.router.routes,
        *uploads.router.routes,
        *files.router.routes,
        *health.router.routes,
        *metrics.router.routes,
        Route("/openapi.json", openapi.openapi_endpoint, include_in_schema=False),
        *page_routes(graphiql=settings.introspection_enabled),
    ]
