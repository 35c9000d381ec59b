"""Whether this server is well."""

import asyncio
import time
from typing import Any

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import text
from starlette.requests import Request
from starlette.responses import Response

from gateway.events.entry import wire
from gateway.rest.framework import responses
from gateway.rest.framework.routing import router_of
from gateway.rest.framework.schemas import Health
from gateway.wiring import Gateway, get_state
from models import Database, utcnow
from models.errors import Unavailable

router = router_of("/api/health", "Health", admitting=False)

PATIENCE = 2.0
"""Seconds that a check may take."""
SICK: dict[int | str, dict[str, Any]] = {503: {"model": Health, "description": "No database, or the server is going"}}


@router.get("", response_model=Health, responses=SICK)
async def health(request: Request) -> Response:
    """`unhealthy` without the database; `degraded` without Redis, where one is configured."""
    return await checked(get_state(request))


@router.get("/ready", response_model=Health, responses=SICK)
async def ready(request: Request) -> Response:
    """Whether to send requests here: no longer, once the server has been told to stop."""
    if get_state(request).streams.is_draining:
        return report(get_state(request), "unhealthy", {})
    return await checked(get_state(request))


@router.get("/live", response_model=Health)
async def live(request: Request) -> Response:
    """Whether the process answers at all; it need not be restarted because its database is away."""
    return report(get_state(request), "healthy", {})


async def checked(gateway: Gateway) -> Response:
    works = {"database": database_works(gateway.following)}
    if gateway.redis:
        works["redis"] = redis_works(gateway.redis)
    found = dict(zip(works, await asyncio.gather(*works.values()), strict=True))
    status = "unhealthy" if not found["database"] else "healthy" if all(found.values()) else "degraded"
    return report(gateway, status, {name: "ok" if well else "error" for name, well in found.items()})


async def database_works(db: Database) -> bool:
    try:
        async with asyncio.timeout(PATIENCE), db.reading() as session:
            return await session.scalar(text("select 1")) == 1
    except (Unavailable, TimeoutError):
        return False


async def redis_works(redis: Redis) -> bool:
    try:
        async with asyncio.timeout(PATIENCE):
            return bool(await redis.ping())
    except (RedisError, OSError, TimeoutError):
        return False


def report(gateway: Gateway, status: str, checks: dict[str, str]) -> Response:
    body = {
        "status": status,
        "timestamp": wire(utcnow()),
        "version": gateway.settings.app_version,
        "checks": checks,
        "uptime": round(time.monotonic() - gateway.started, 3),
    }
    return responses.json(orjson.dumps(body), 503 if status == "unhealthy" else 200, responses.NO_STORE)
