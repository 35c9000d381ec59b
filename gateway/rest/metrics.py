"""GET /metrics: the server's metrics in Prometheus' text format."""

import hmac
from collections.abc import Iterable

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from gateway.auth.request import parse_bearer_token
from gateway.observability.collector import GatewayCollector
from gateway.observability.metrics.multiprocess import collect_all
from gateway.rest.framework.openapi import refusals
from gateway.rest.framework.routing import router_of
from gateway.settings import Settings
from gateway.wiring import get_state
from models.errors import NotFound, Refusal, Unauthorized

router = router_of("/metrics", "Health", admitting=False)

TEXT = {200: {"description": "Prometheus' text format", "content": {"text/plain": {"schema": {"type": "string"}}}}}
HEADERS = {"Content-Type": CONTENT_TYPE_LATEST, "Cache-Control": "no-store"}


@router.get("", response_class=Response, responses=refusals(Unauthorized, NotFound, also=TEXT, anywhere=(Refusal,)))
async def metrics(request: Request) -> Response:
    """Return the server's metrics for Prometheus. If `METRICS_TOKEN` is set, send it as a bearer token."""
    gateway = get_state(request)
    check_token(request, gateway.settings)
    families = await collect_all(GatewayCollector(gateway))
    return Response(generate_latest(StaticCollector(families)), media_type=None, headers=HEADERS)


def check_token(request: Request, settings: Settings) -> None:
    """Raise `Unauthorized` without the right token, and `NotFound` in production if no token is set."""
    if settings.metrics_token is None:
        if settings.in_production:
            raise NotFound
        return
    token = parse_bearer_token(request.headers.get("authorization")) or ""
    if not hmac.compare_digest(token.encode(), settings.metrics_token.encode()):
        raise Unauthorized


class StaticCollector(Collector):
    """Metric families that have been collected already."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self.families = families

    def collect(self) -> Iterable[Metric]:
        return self.families
