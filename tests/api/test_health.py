"""Health: what a load balancer is told."""

import re
from unittest.mock import ANY

import pytest
from sqlalchemy import make_url

from tests.support import databases
from tests.support.servers import open_server


async def test_a_server_with_its_database_is_healthy(server):
    """Redis is not among the checks where none is configured."""
    response = await server.anonymous.get("/api/health")
    output = response.json()
    assert (response.status_code, output) == (
        200,
        {"status": "healthy", "timestamp": ANY, "version": ANY, "checks": {"database": "ok"}, "uptime": ANY},
    )
    assert re.fullmatch(
        r"\d{4}(-\d\d){2}T\d\d(:\d\d){2}\.\d{6}Z", output["timestamp"]
    )  # as every moment that is told of
    assert 0 <= output["uptime"] < 3600


async def test_a_server_with_its_redis_is_healthy(make_server, redis_url):
    """Both checks are ok."""
    server = await make_server(redis_url=redis_url)
    response = await server.anonymous.get("/api/health")
    assert (response.status_code, response.json()["status"]) == (200, "healthy")
    assert response.json()["checks"] == {"database": "ok", "redis": "ok"}


async def test_without_its_redis_a_server_is_degraded(make_server):
    """It still answers, so it is 200."""
    server = await make_server(redis_url="redis://127.0.0.1:1")
    response = await server.anonymous.get("/api/health")
    output = response.json()
    assert (response.status_code, output["status"], output["checks"]["database"]) == (200, "degraded", "ok")
    assert output["checks"]["redis"] != "ok"
    assert (await server.anonymous.get("/api/health/ready")).status_code == 200


@pytest.fixture
async def widowed(anyio_backend, unused_database):
    """A server whose database has gone; only Postgres', since an SQLite file that is open outlives its name."""
    url = make_url(await unused_database("postgres"))
    async with open_server(url.render_as_string(hide_password=False)) as server:
        await databases.drop_database(url.set(database="postgres"), str(url.database))
        yield server


async def test_without_its_database_a_server_is_alive_but_not_ready(widowed):
    """503, so that no traffic is sent to it; alive, so that it is not restarted in vain."""
    responses = {path: await widowed.anonymous.get(f"/api/health{path}") for path in ("", "/live", "/ready")}
    assert {path: response.status_code for path, response in responses.items()} == {
        "": 503,
        "/live": 200,
        "/ready": 503,
    }
    output = responses[""].json()
    assert output["status"] == "unhealthy"
    assert output["checks"]["database"] != "ok"


async def test_without_its_database_a_server_says_unavailable(widowed):
    """503 in both protocols, in the same words, and never the cause."""
    rest = await widowed.anonymous.get("/api/posts")
    graphql = await widowed.anonymous.post("/graphql", json={"query": "{ postPage { total } }"})
    error = graphql.json()["errors"][0]
    assert (rest.status_code, rest.json()["code"]) == (503, "UNAVAILABLE")
    assert (error["extensions"]["status"], error["extensions"]["code"]) == (503, "UNAVAILABLE")
    assert rest.json()["error"] == error["message"] == "Temporarily unavailable; try again"
