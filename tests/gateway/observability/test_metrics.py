"""`/metrics` counts every request, operation, error and stream once, with a bounded number of series."""

import asyncio
import os
import shutil
from pathlib import Path

import httpx
import pytest
from prometheus_client import Histogram

from gateway.observability.metrics import bounded_labels
from gateway.observability.metrics.bounded_labels import BoundedSeries
from gateway.observability.metrics.multiprocess import WORKER_DIR_ENV
from tests.support.live_server import open_live_server
from tests.support.payments import SECRET, build_event, deliver
from tests.support.processes import start_gateway
from tests.support.scraping import Scrape, scrape
from tests.support.servers import open_server
from tests.support.subscribers import open_socket, open_sse_stream

TITLES = "query Titles { posts { nodes { title } } }"
TOKEN = "a token for Prometheus only"


@pytest.fixture
async def fresh(make_server):
    """A server whose metrics are all zero."""
    return await make_server()


async def post_query(server, query: str, **more) -> httpx.Response:
    return await server.anonymous.post("/graphql", json={"query": query, **more})


async def test_requests_are_counted_by_route_and_status_class(fresh, author):
    await fresh.anonymous.get("/api/posts?page=1")
    await fresh.anonymous.get("/api/posts/one-thing")
    await fresh.anonymous.get("/api/posts/another")
    await fresh.anonymous.get("/wp-admin/setup.php")
    await fresh.anonymous.request("BREW", "/api/posts")
    await post_query(fresh, TITLES)
    found = await scrape(fresh.anonymous)
    assert {
        tuple(each.labels.values()): each.value
        for each in found.samples
        if each.name == "dovetail_http_request_seconds_count"
    } == {
        ("GET", "/api/posts", "2xx"): 1,
        ("GET", "/api/posts/{id}", "4xx"): 2,
        ("GET", "other", "4xx"): 1,
        ("other", "/api/posts", "4xx"): 1,
        ("POST", "/graphql", "2xx"): 1,
    }
    assert found.by("code", "refusals_total") == {"NOT_FOUND": 3, "METHOD_NOT_ALLOWED": 1}


async def test_operations_are_counted_by_type_and_name(fresh, author):
    post = "mutation Write($input: CreatePostInput!) { createPost(input: $input) { id } }"
    variables = {"input": {"title": "A post", "content": "Long enough to be one."}}
    for _ in range(2):
        await post_query(fresh, TITLES)
    await post_query(fresh, "{ __typename }")
    await post_query(fresh, "query Broken { nothing }")
    headers = author.headers
    await fresh.anonymous.post("/graphql", json={"query": post, "variables": variables}, headers=headers)
    found = await scrape(fresh.anonymous)
    assert found.by("name", "operation_seconds_count") == {"Titles": 2, "": 1, "Write": 1}
    assert found.by("type", "operation_seconds_count") == {"query": 3, "mutation": 1}
    assert found.value("statement_seconds_count", by="reads") >= 2
    assert found.value("statement_seconds_count", by="operations") >= 2
    assert found.by("code", "refusals_total") == {"VALIDATION_ERROR": 1}


async def test_operation_names_beyond_the_maximum_share_one_series(fresh):
    for number in range(bounded_labels.MAX_SERIES + 20):
        await post_query(fresh, f"query Invented{number} {{ __typename }}")
    found = await scrape(fresh.anonymous)
    series = found.by("name", "operation_seconds_count")
    assert len(series) == bounded_labels.MAX_SERIES + 1
    assert series["other"] == 20


def test_a_name_that_was_not_used_for_an_hour_makes_room_for_another(monkeypatch):
    now = 0.0
    monkeypatch.setattr(bounded_labels.time, "monotonic", lambda: now)
    histogram = Histogram("operations", "Operations", ["type", "name"], registry=None)
    bounded = BoundedSeries(histogram, max_series=2)

    def observe(*names: str) -> None:
        for name in names:
            bounded.labels("query", name).observe(0.1)

    def counts() -> dict[str, float]:
        samples = [sample for family in histogram.collect() for sample in family.samples]
        return {sample.labels["name"]: sample.value for sample in samples if sample.name == "operations_count"}

    observe("old", "busy")
    now = bounded_labels.IDLE_SECONDS - 1
    observe("busy", "early", "x" * 1000)
    assert counts() == {"old": 1, "busy": 2, "other": 2}
    now = bounded_labels.IDLE_SECONDS + 1
    observe("late")
    assert counts() == {"busy": 2, "late": 1, "other": 2}


async def test_streams_are_counted_while_open_and_after_their_end_apart_from_requests(sqlite_url):
    async with open_live_server(sqlite_url) as live:
        async with (
            open_socket(live.address) as client,
            open_sse_stream(live.http, "subscription { postEvents { id } }"),
        ):
            await client.execute("query Over { __typename }")
            assert (await scrape(live.http)).value("streams_open") == 2
        async with asyncio.timeout(10):
            while (found := await scrape(live.http)).value("stream_seconds_count") < 2:
                pass
        assert found.by("kind", "stream_seconds_count") == {"websocket": 1, "sse": 1}
        assert found.by("name", "operation_seconds_count") == {"Over": 1}
        assert found.value("http_request_seconds_count", route="/graphql") == 0


async def test_limits_and_webhooks_are_counted(make_server):
    server = await make_server(rate_limit_api="2/minute", stripe_webhook_secret=SECRET)
    for _ in range(4):
        await server.anonymous.get("/api/posts")
    await deliver(server.anonymous, build_event("customer.created", {"object": "customer", "id": "cus_1"}))
    found = await scrape(server.anonymous)
    assert found.by("outcome", "limit_checks_total") == {"passed": 2, "refused": 2}
    assert found.by("code", "refusals_total") == {"RATE_LIMITED": 2}
    assert found.by("status", "webhook_events_total") == {"IGNORED": 1}


@pytest.mark.parametrize(
    ("environment", "token", "sent", "status"),
    [
        ("development", None, "", 200),
        ("development", TOKEN, "", 401),
        ("production", None, "", 404),
        ("production", TOKEN, "Bearer something else", 401),
        ("production", TOKEN, f"Bearer {TOKEN}", 200),
    ],
)
async def test_metrics_require_the_token_and_are_absent_in_production_without_one(
    sqlite_url, environment, token, sent, status
):
    async with open_server(sqlite_url, environment=environment, metrics_token=token) as server:
        response = await server.anonymous.get("/metrics", headers={"Authorization": sent} if sent else {})
        assert response.status_code == status


async def test_any_worker_returns_the_metrics_of_all_workers(unused_database, tmp_path: Path):
    url = await unused_database("sqlite")
    with start_gateway("--workers", "2", folder=tmp_path, database_url=url) as (_, address, _output):

        async def scrape_any() -> Scrape:
            async with httpx.AsyncClient(base_url=address) as http:  # a new connection reaches any worker
                await http.get("/api/health/live")
                return await scrape(http)

        async with asyncio.timeout(30):
            while len((found := await scrape_any()).by("worker", "http_request_seconds_count")) < 2:
                pass
        before = found.value("http_request_seconds_count", route="/api/health/live")
        after = (await scrape_any()).value("http_request_seconds_count", route="/api/health/live")
        assert after == before + 1


@pytest.fixture
def worker_directory(monkeypatch, tmp_path: Path) -> Path:
    """The directory where this process, as one of several workers, has its socket."""
    folder = tmp_path / "workers"
    folder.mkdir()
    monkeypatch.setenv(WORKER_DIR_ENV, str(folder))
    return folder


async def test_a_worker_returns_its_own_metrics_after_its_directory_was_removed(worker_directory, make_server):
    """Some systems clean their temporary directories while programs run."""
    server = await make_server()
    shutil.rmtree(worker_directory)
    assert (await scrape(server.anonymous)).by("worker", "info") == {str(os.getpid()): 1}


async def test_a_worker_returns_its_own_metrics_if_its_path_is_too_long_for_a_socket(
    monkeypatch, worker_directory, make_server
):
    deep = worker_directory / ("x" * 110)
    deep.mkdir()
    monkeypatch.setenv(WORKER_DIR_ENV, str(deep))
    server = await make_server()
    assert (await scrape(server.anonymous)).by("worker", "info") == {str(os.getpid()): 1}
