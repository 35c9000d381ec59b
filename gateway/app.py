"""The application: its routes, and what surrounds them."""

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
from gateway.middleware.concurrency import STATE, ConcurrencyLimit, InFlight
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
"""Headers that pages of other origins may read."""


RunningContext = Callable[[OpenStreams], AbstractContextManager[Any]]
"""What surrounds a running application, given its open streams."""


def create_app(settings: Settings | None = None, *, while_running: RunningContext = nullcontext) -> FastAPI:
    """Create an application from these settings, or from the environment. Raises `InvalidSettings`.

    `while_running`: a context manager that is entered when startup is complete; the server handles its signals there.
    """
    settings, recorder = settings or Settings(), MetricsRecorder()
    work, provider = InFlight(settings.max_in_flight), get_tracer_provider(settings.app_version)
    app = DovetailApp(
        title="Dovetail",
        description="The REST half; what front ends read, write and follow is at `/graphql`.",
        version=settings.app_version,
        lifespan=lifespan(settings, work, recorder, provider, while_running),
        around=middleware(settings, work, recorder, is_traced=provider is not None),
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
    work: InFlight,
    recorder: MetricsRecorder,
    provider: TracerProvider | None,
    while_running: RunningContext,
) -> Lifespan[FastAPI]:
    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[dict[str, InFlight]]:
        configure_logging(as_json=settings.in_production, extra_fields=trace_ids if provider else dict)
        async with (
            flush_spans(provider),
            open_app(settings, work, recorder) as gateway,
            serve_metrics(GatewayCollector(gateway)),
        ):
            app.state.gateway = gateway
            app.state.request_cache = RequestCache(gateway.engine.response_cache)
            gateway.engine.prepare(STATIC_QUERIES)
            instrument.measure(gateway)
            if provider:
                instrument.trace(gateway, provider)
            tune_gc()
            with while_running(gateway.streams):
                yield {STATE: work}

    return running


def middleware(settings: Settings, work: InFlight, recorder: MetricsRecorder, *, is_traced: bool) -> list[Middleware]:
    """From the outermost in."""
    cross_origin = Middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origins,
        allow_methods=["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"],
        allow_headers=["*"],
        allow_credentials=True,
        expose_headers=CORS_EXPOSE_HEADERS,
    )
    return [
        Middleware(RequestStateMiddleware, recorder, settings.trusted_proxies if settings.in_production else None),
        *([Middleware(TraceMiddleware)] if is_traced else []),
        *([cross_origin] if settings.cors_origins else []),
        Middleware(ConcurrencyLimit, work),
        Middleware(
            BodyLimitMiddleware, settings.max_body_bytes, {uploads.PATH: max_body_bytes(settings.upload_max_bytes)}
        ),
    ]


def routes(settings: Settings) -> list[BaseRoute]:
    """Taken from their routers one by one: FastAPI looks twice for a route within a router that it includes."""
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
