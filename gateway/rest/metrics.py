"""What Prometheus collects, read at the moment of asking."""

import hmac
from collections.abc import Iterable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from gateway.auth.request import parse_bearer_token
from gateway.observability.metrics.collector import Readings
from gateway.observability.metrics.multiprocess import families
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
    """What this server has answered and how fast, and how busy it is; for who has `METRICS_TOKEN`, where one is set."""
    gateway = get_state(request)
    admit(request, gateway.settings)
    registry = CollectorRegistry()
    registry.register(Told(await families(Readings(gateway))))
    return Response(generate_latest(registry), media_type=None, headers=HEADERS)


def admit(request: Request, settings: Settings) -> None:
    """Strangers are not told how busy a server is: in production there is nothing here, unless a token is set."""
    if settings.metrics_token is None:
        if settings.in_production:
            raise NotFound
        return
    given = parse_bearer_token(request.headers.get("authorization")) or ""
    if not hmac.compare_digest(given.encode(), settings.metrics_token.encode()):
        raise Unauthorized


class Told(Collector):
    """Families that are there already."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self.families = families

    def collect(self) -> Iterable[Metric]:
        return self.families
