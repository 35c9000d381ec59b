"""Metrics for Prometheus, collected when they are requested."""

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
from gateway.rest.framework.routing import create_router, raises
from gateway.settings import Settings
from gateway.state import get_state
from models.errors import APIError, NotFound, Unauthorized

router = create_router("/metrics", "Health", authenticated=False)

TEXT = {
    200: {
        "description": "Metrics in the Prometheus text format.",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
}
HEADERS = {"Content-Type": CONTENT_TYPE_LATEST, "Cache-Control": "no-store"}


@router.get("", response_class=Response, responses=TEXT)
@raises(Unauthorized, NotFound, APIError)
async def metrics(request: Request) -> Response:
    """Return the metrics of all workers. Requires `METRICS_TOKEN` as a bearer token if it is set."""
    app_state = get_state(request)
    check_token(request, app_state.settings)
    families = await collect_all(GatewayCollector(app_state))
    return Response(generate_latest(StaticCollector(families)), media_type=None, headers=HEADERS)


def check_token(request: Request, settings: Settings) -> None:
    """Reject a request without the token. In production without a configured token, the endpoint does not exist."""
    if settings.metrics_token is None:
        if settings.in_production:
            raise NotFound
        return
    token = parse_bearer_token(request.headers.get("authorization")) or ""
    if not hmac.compare_digest(token.encode(), settings.metrics_token.encode()):
        raise Unauthorized


class StaticCollector(Collector):
    """A collector of metrics that were collected before."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self.metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self.metrics
