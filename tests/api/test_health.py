"""Health: what a load balancer is told."""

import re
from unittest.mock import ANY

import pytest
from sqlalchemy import make_url

from tests.support import databases
from tests.support.servers import serving


async def test_a_server_with_its_database_is_healthy(server):
    """Redis is not among the checks where none is configured."""
    answer = await server.anonymous.get("/api/health")
    said = answer.json()
    assert (answer.status_code, said) == (
        200,
        {"status": "healthy", "timestamp": ANY, "version": ANY, "checks": {"database": "ok"}, "uptime": ANY},
    )
    assert re.fullmatch(r"\d{4}(-\d\d){2}T\d\d(:\d\d){2}\.\d{6}Z", said["timestamp"])  # as every moment that is told of
    assert 0 <= said["uptime"] < 3600


async def test_a_server_with_its_redis_is_healthy(make_server, redis_url):
    """Both checks are ok."""
    server = await make_server(redis_url=redis_url)
    answer = await server.anonymous.get("/api/health")
    assert (answer.status_code, answer.json()["status"]) == (200, "healthy")
    assert answer.json()["checks"] == {"database": "ok", "redis": "ok"}


async def test_without_its_redis_a_server_is_degraded(make_server):
    """It still answers, so it is 200."""
    server = await make_server(redis_url="redis://127.0.0.1:1")
    answer = await server.anonymous.get("/api/health")
    said = answer.json()
    assert (answer.status_code, said["status"], said["checks"]["database"]) == (200, "degraded", "ok")
    assert said["checks"]["redis"] != "ok"
    assert (await server.anonymous.get("/api/health/ready")).status_code == 200


@pytest.fixture
async def widowed(anyio_backend, unused_database):
    """A server whose database has gone; only Postgres', since an SQLite file that is open outlives its name."""
    url = make_url(await unused_database("postgres"))
    async with serving(url.render_as_string(hide_password=False)) as server:
        await databases.drop(url.set(database="postgres"), str(url.database))
        yield server


async def test_without_its_database_a_server_is_alive_but_not_ready(widowed):
    """503, so that no traffic is sent to it; alive, so that it is not restarted in vain."""
    answers = {path: await widowed.anonymous.get(f"/api/health{path}") for path in ("", "/live", "/ready")}
    assert {path: answer.status_code for path, answer in answers.items()} == {"": 503, "/live": 200, "/ready": 503}
    said = answers[""].json()
    assert said["status"] == "unhealthy"
    assert said["checks"]["database"] != "ok"


async def test_without_its_database_a_server_says_unavailable(widowed):
    """503 in both protocols, in the same words, and never the cause."""
    rest = await widowed.anonymous.get("/api/posts")
    graphql = await widowed.anonymous.post("/graphql", json={"query": "{ postPage { total } }"})
    error = graphql.json()["errors"][0]
    assert (rest.status_code, rest.json()["code"]) == (503, "UNAVAILABLE")
    assert (error["extensions"]["status"], error["extensions"]["code"]) == (503, "UNAVAILABLE")
    assert rest.json()["error"] == error["message"] == "Temporarily unavailable; try again"
