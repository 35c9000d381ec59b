"""The application: its routes, and what surrounds them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from opentelemetry.trace import TracerProvider
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import Lifespan

from gateway.http import errors
from gateway.http.content_negotiation import GRAPHQL_PATH
from gateway.http.middleware.concurrency import STATE, Overload, Work
from gateway.http.middleware.request_state import Guard, Visits
from gateway.http.routing import Application
from gateway.observability import logging
from gateway.observability.metrics.collector import Readings
from gateway.observability.metrics.multiprocess import telling
from gateway.observability.metrics.recorder import Measures
from gateway.observability.tracing.http import Traced, traces
from gateway.observability.tracing.instrument import trace_all
from gateway.observability.tracing.provider import sending, telemetry, tracer_provider
from gateway.pages import page_routes
from gateway.rest import auth, chat, events, files, health, metrics, posts, uploads, webhooks
from gateway.rest.framework import openapi
from gateway.rest.framework.multipart import most_bytes
from gateway.rest.framework.openapi_descriptions import TAGS
from gateway.server.supervisor import heed_parent
from gateway.settings import Settings
from gateway.transports.http.endpoint import METHODS, GraphQLEndpoint
from gateway.transports.websocket.endpoint import GraphQLSockets
from gateway.wiring import opened, settle
from schema import schema

EXPOSED = (
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


def create_app(settings: Settings | None = None) -> FastAPI:
    """A server that follows these settings, or else the environment's. Raises `WrongSettings`."""
    settings, measures = settings or Settings(), Measures()
    work, provider = Work(settings.max_in_flight), tracer_provider(settings.app_version)
    app = Application(
        title="Dovetail",
        description="The REST half; what front ends read, write and follow is at `/graphql`.",
        version=settings.app_version,
        lifespan=lifespan(settings, work, measures, provider),
        around=middleware(settings, work, measures, is_traced=provider is not None),
        telemetry=telemetry(provider),
        routes=routes(settings),
        openapi_url=None,
        openapi_tags=TAGS,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    errors.install(app)
    openapi.install(app, settings, schema._schema)
    return app


def lifespan(settings: Settings, work: Work, measures: Measures, provider: TracerProvider | None) -> Lifespan[FastAPI]:
    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[dict[str, Work]]:
        logging.configure(as_json=settings.in_production, more=traces if provider else dict)
        heed_parent()
        async with sending(provider), opened(settings, work, measures) as gateway, telling(Readings(gateway)):
            app.state.gateway = gateway
            trace_all(gateway, provider)
            settle()
            yield {STATE: work}

    return running


def middleware(settings: Settings, work: Work, measures: Measures, *, is_traced: bool) -> list[Middleware]:
    """From the outermost in."""
    cross_origin = Middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origins,
        allow_methods=["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"],
        allow_headers=["*"],
        allow_credentials=True,
        expose_headers=EXPOSED,
    )
    return [
        Middleware(Visits, measures, settings.trusted_proxies if settings.in_production else None),
        *([Middleware(Traced)] if is_traced else []),
        *([cross_origin] if settings.cors_origins else []),
        Middleware(Overload, work),
        Middleware(Guard, settings.max_body_bytes, {uploads.PATH: most_bytes(settings.upload_max_bytes)}),
    ]


def routes(settings: Settings) -> list[BaseRoute]:
    """Taken from their routers one by one: FastAPI looks twice for a route within a router that it includes."""
    return [
        Route(GRAPHQL_PATH, GraphQLEndpoint(), methods=METHODS, include_in_schema=False),
        WebSocketRoute(GRAPHQL_PATH, GraphQLSockets()),
        *posts.router.routes,
        *auth.router.routes,
        *events.router.routes,
        *chat.router.routes,
        *webhooks.router.routes,
        *uploads.router.routes,
        *files.router.routes,
        *health.router.routes,
        *metrics.router.routes,
        Route("/openapi.json", openapi.described, include_in_schema=False),
        *page_routes(graphiql=settings.explorable),
    ]
