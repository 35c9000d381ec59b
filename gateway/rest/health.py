"""Health checks."""

import asyncio
import time

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import text
from starlette.requests import Request
from starlette.responses import Response

from gateway.events.entry import format_timestamp
from gateway.rest.framework.responses import NO_STORE, json_response
from gateway.rest.framework.routing import create_router
from gateway.rest.framework.schemas import Health
from gateway.state import AppState, get_state
from models import Database, utcnow
from models.errors import Unavailable

router = create_router("/api/health", "Health", authenticated=False)

CHECK_TIMEOUT_SECONDS = 2.0
HEALTHY = "The server is healthy, or degraded."
UNHEALTHY = {503: {"model": Health, "description": "The database does not respond, or the server is shutting down."}}


@router.get("", response_model=Health, response_description=HEALTHY, responses=UNHEALTHY)
async def health(request: Request) -> Response:
    """Check the database, and Redis if it is configured.

    The status is `unhealthy` without the database and `degraded` without Redis.
    """
    return await run_checks(get_state(request))


@router.get("/ready", response_model=Health, response_description=HEALTHY, responses=UNHEALTHY)
async def ready(request: Request) -> Response:
    """Check whether the server accepts requests. It is `unhealthy` as soon as shutdown begins."""
    if get_state(request).streams.is_draining:
        return health_response(get_state(request), "unhealthy", {})
    return await run_checks(get_state(request))


@router.get("/live", response_model=Health, response_description="The process responds.")
async def live(request: Request) -> Response:
    """Check that the process responds, whatever the state of its database."""
    return health_response(get_state(request), "healthy", {})


async def run_checks(app_state: AppState) -> Response:
    checks = {"database": can_query(app_state.log_db)}
    if app_state.redis:
        checks["redis"] = can_ping(app_state.redis)
    passed = dict(zip(checks, await asyncio.gather(*checks.values()), strict=True))
    status = "unhealthy" if not passed["database"] else "healthy" if all(passed.values()) else "degraded"
    return health_response(app_state, status, {name: "ok" if ok else "error" for name, ok in passed.items()})


async def can_query(db: Database) -> bool:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_SECONDS), db.reading() as session:
            return await session.scalar(text("select 1")) == 1
    except (Unavailable, TimeoutError):
        return False


async def can_ping(redis: Redis) -> bool:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
            return bool(await redis.ping())
    except (RedisError, OSError, TimeoutError):
        return False


def health_response(app_state: AppState, status: str, checks: dict[str, str]) -> Response:
    body = {
        "status": status,
        "timestamp": format_timestamp(utcnow()),
        "version": app_state.settings.app_version,
        "checks": checks,
        "uptime": round(time.monotonic() - app_state.started, 3),
    }
    return json_response(orjson.dumps(body), 503 if status == "unhealthy" else 200, NO_STORE)
