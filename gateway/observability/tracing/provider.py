"""Whether there are to be spans, and where they go: as the `OTEL_*` variables say, which are everybody's."""

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

from gateway.http.middleware.concurrency import ALWAYS

HTTP = "http/protobuf"
FAREWELL = 2.0
"""Seconds that the last spans have to be sent when the server goes."""

logger = logging.getLogger("gateway.tracing")


def tracer_provider(version: str) -> TracerProvider | None:
    """Somebody else's, such as `opentelemetry-instrument` sets up; else ours, where the environment wants one."""
    known = trace.get_tracer_provider()
    if not isinstance(known, trace.ProxyTracerProvider):
        return None if isinstance(known, trace.NoOpTracerProvider) else known
    if not is_wanted():
        return None
    try:
        from gateway.observability.tracing.exporter import exporting
    except ImportError:
        logger.warning("OTEL_* variables are set, but the extra otel is not installed: there are no spans")
        return None
    return exporting(version)


def is_wanted() -> bool:
    """Whether spans are to be sent by OTLP; to the collector's usual place on this machine, if none is named."""
    exporter = os.environ.get("OTEL_TRACES_EXPORTER", "").lower()
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or exporter == "none":
        return False
    if not exporter and not of_exporter("ENDPOINT"):
        return False
    if exporter not in ("", "otlp") or of_exporter("PROTOCOL") not in ("", HTTP):
        logger.warning("There are no spans: of OTEL_*, only the exporter otlp over %s is known here", HTTP)
        return False
    return True


def of_exporter(name: str) -> str:
    """A variable of the exporter's; that for spans alone comes first."""
    special, general = f"OTEL_EXPORTER_OTLP_TRACES_{name}", f"OTEL_EXPORTER_OTLP_{name}"
    return os.environ.get(special) or os.environ.get(general) or ""


def telemetry(provider: TracerProvider | None) -> TelemetryConfig:
    """FastAPI's own: it makes the span of each HTTP request. What only looks after the server leaves no span."""
    off: TelemetryConfig = {"operation_spans": False, "auto_configure": False}
    if provider is None:
        return {"tracing": False, **off}
    return {"tracer_provider": provider, "exclude": is_apart, **off}


def is_apart(scope: Any) -> bool:
    """A socket's operations have spans of their own: it would not end for hours."""
    return scope["type"] != "http" or scope["path"] in ALWAYS


@asynccontextmanager
async def sending(provider: TracerProvider | None) -> AsyncIterator[None]:
    """Have the last spans sent when the scope is left; a collector that is away keeps nobody."""
    try:
        yield
    finally:
        end = getattr(provider, "shutdown", None)
        if end:
            await at_most(end, FAREWELL)


async def at_most(end: Callable[[], None], seconds: float) -> None:
    """Wait so long for something that may block, in a thread that keeps no process from ending."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()

    def run() -> None:
        end()
        with suppress(RuntimeError):  # the loop is gone, and nobody waits
            loop.call_soon_threadsafe(ended.set)

    Thread(target=run, daemon=True).start()
    try:
        async with asyncio.timeout(seconds):
            await ended.wait()
    except TimeoutError:
        logger.warning("The last spans were not taken")
