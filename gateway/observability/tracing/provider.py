"""The tracer provider, as configured by the standard `OTEL_*` environment variables."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from threading import Thread
from typing import Any

from fastapi.telemetry import TelemetryConfig
from opentelemetry import trace
from opentelemetry.trace import TracerProvider

from gateway.middleware.concurrency import EXEMPT_PATHS

PROTOCOL = "http/protobuf"
FLUSH_TIMEOUT_SECONDS = 2.0
"""The longest wait, at shutdown, for the last spans to be sent."""

logger = logging.getLogger("gateway.tracing")


def get_tracer_provider(version: str) -> TracerProvider | None:
    """Return the global provider if one is set, for example by `opentelemetry-instrument`.

    Otherwise create one if the environment configures an exporter. Return None if requests are not to be traced.
    """
    current = trace.get_tracer_provider()
    if not isinstance(current, trace.ProxyTracerProvider):
        return None if isinstance(current, trace.NoOpTracerProvider) else current
    if not is_exporter_configured():
        return None
    try:
        from gateway.observability.tracing.exporter import create_provider
    except ImportError:
        logger.warning("OTEL_* variables are set, but the extra otel is not installed: requests are not traced")
        return None
    return create_provider(version)


def is_exporter_configured() -> bool:
    """Return True if `OTEL_*` variables ask for OTLP over HTTP. Without an endpoint, the SDK's default is localhost."""
    exporter = os.environ.get("OTEL_TRACES_EXPORTER", "").lower()
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or exporter == "none":
        return False
    if not exporter and not exporter_env("ENDPOINT"):
        return False
    if exporter not in ("", "otlp") or exporter_env("PROTOCOL") not in ("", PROTOCOL):
        logger.warning("Requests are not traced: only OTEL_TRACES_EXPORTER=otlp over %s is supported", PROTOCOL)
        return False
    return True


def exporter_env(name: str) -> str:
    """Return a variable of the OTLP exporter. The one for traces takes precedence over the general one."""
    specific, general = f"OTEL_EXPORTER_OTLP_TRACES_{name}", f"OTEL_EXPORTER_OTLP_{name}"
    return os.environ.get(specific) or os.environ.get(general) or ""


def telemetry_options(provider: TracerProvider | None) -> TelemetryConfig:
    """Return the options of FastAPI's own instrumentation, which creates the span of each HTTP request."""
    off: TelemetryConfig = {"operation_spans": False, "auto_configure": False}
    if provider is None:
        return {"tracing": False, **off}
    return {"tracer_provider": provider, "exclude": is_excluded, **off}


def is_excluded(scope: Any) -> bool:
    """Return True for health checks, `/metrics` and WebSockets; operations over a WebSocket have their own spans."""
    return scope["type"] != "http" or scope["path"] in EXEMPT_PATHS


@asynccontextmanager
async def flush_spans(provider: TracerProvider | None) -> AsyncIterator[None]:
    """Send the last spans when the scope ends. An unreachable collector delays that by `FLUSH_TIMEOUT_SECONDS`."""
    try:
        yield
    finally:
        shutdown = getattr(provider, "shutdown", None)
        if shutdown:
            await run_with_timeout(shutdown, FLUSH_TIMEOUT_SECONDS)


async def run_with_timeout(call: Callable[[], None], seconds: float) -> None:
    """Run a blocking call in a daemon thread, which does not delay the exit, and wait for it up to `seconds`.

    The SDK's own `shutdown` has no timeout: with an unreachable collector it takes 15 to 20 seconds.
    """
    loop, ended = asyncio.get_running_loop(), asyncio.Event()

    def run() -> None:
        call()
        with suppress(RuntimeError):  # the loop has been closed after the timeout
            loop.call_soon_threadsafe(ended.set)

    Thread(target=run, daemon=True).start()
    try:
        async with asyncio.timeout(seconds):
            await ended.wait()
    except TimeoutError:
        logger.warning("The collector did not accept the last spans within %g seconds", seconds)
