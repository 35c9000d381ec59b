"""The short way past FastAPI: what takes it is answered, refused and surrounded like all else."""

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from gateway.http.routing import FastRoute, FastRouter
from tests.support.servers import Server

pytestmark = pytest.mark.anyio

ORIGIN = {"Origin": "https://app.example"}


class Told(FastRoute):
    """Says what it is, and what stood in its path."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(f"direct {scope.get('path_params', {}).get('id', '')}")(scope, receive, send)


async def slow(request: object) -> Response:
    return PlainTextResponse("routed")


def answers(*routes: Route) -> TestClient:
    return TestClient(FastRouter(Starlette(routes=routes), routes))


@pytest.mark.parametrize(
    ("method", "path", "status", "allowed"),
    [
        ("PUT", "/graphql", 405, "GET, HEAD, POST"),
        ("TRACE", "/api/posts/x", 405, "DELETE, GET, HEAD, PATCH, PUT"),
        ("GET", "/graphql/", 404, None),
        ("GET", "/api/posts/", 404, None),
        ("GET", "/api/posts/a/b", 404, None),
        ("HEAD", "/api/posts", 200, None),
        ("HEAD", "/api/posts/x", 404, None),
    ],
)
async def test_what_is_no_shortcut_is_the_routers(
    server: Server, method: str, path: str, status: int, allowed: str | None
) -> None:
    """Other methods and other paths."""
    response = await server.anonymous.request(method, path)
    assert (response.status_code, response.headers.get("Allow")) == (status, allowed)


@pytest.mark.parametrize("path", ["/api/posts", "/api/posts/x", "/graphql?query={__typename}", "/graphql"])
async def test_pages_of_trusted_origins_may_read_every_answer(make_server, path: str) -> None:
    """Refusals too."""
    server = await make_server(cors_origins=ORIGIN["Origin"])
    headers = (await server.anonymous.get(path, headers=ORIGIN)).headers
    assert headers["Access-Control-Allow-Origin"] == ORIGIN["Origin"]
    assert "x-request-id" in headers["Access-Control-Expose-Headers"].lower()


def test_a_shortcut_takes_nothing_from_a_route_before_it() -> None:
    """Of two routes that match, the first answers, as the router would have it."""
    before = answers(Route("/things/best", slow), Route("/things/{id}", Told(), methods=["GET"]))
    assert [before.get(f"/things/{name}").text for name in ("best", "worst")] == ["routed", "direct worst"]
    after = answers(Route("/things/{id}", Told(), methods=["GET"]), Route("/things/best", slow))
    assert after.get("/things/best").text == "direct best"


def test_other_methods_of_a_path_are_left_alone() -> None:
    """A write beside a read that is direct."""
    client = answers(Route("/things/{id}", slow, methods=["PUT"]), Route("/things/{id}", Told(), methods=["GET"]))
    assert (client.get("/things/1").text, client.put("/things/1").text) == ("direct 1", "routed")
