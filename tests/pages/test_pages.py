"""The pages without a browser: what they refer to is here, is kept, and comes from nowhere else."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.resources import files

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.pages import graphiql_page, page_routes
from gateway.pages.assets import accepts_gzip

PAGES = ("/", "/docs", "/graphql")
TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
STORED = sorted(file.name.removesuffix(".gz") for file in (files("gateway.pages") / "static").iterdir())
# Hosts that a bundle might fetch from as it runs; addresses of documentation do no harm.
SUPPLIERS = re.compile(rb"npmjs|unpkg|jsdelivr|esm\.sh|cdnjs|googleapis|gstatic|skypack", re.IGNORECASE)


async def graphql(request: Request) -> Response:
    return graphiql_page()


def client(*, graphiql: bool = True, docs: bool = True) -> httpx.AsyncClient:
    app = Starlette(routes=[*page_routes(graphiql=graphiql, docs=docs), Route("/graphql", graphql)])
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway.test")


@pytest.fixture
async def get() -> AsyncIterator[Callable[..., Awaitable[httpx.Response]]]:
    async with client() as pages:
        yield pages.get


def assets_of(html: str) -> list[str]:
    return re.findall(r'(?:src|href)="(/assets/[^"]+)"', html)


@pytest.mark.parametrize("page", PAGES)
async def test_what_a_page_refers_to_is_served_with_its_type(page, get):
    results = [await get(path) for path in assets_of((await get(page)).text)]
    assert results
    for response in results:
        assert response.status_code == 200, response.url
        assert response.headers["content-type"] == TYPES[response.url.path.rsplit(".")[-1]]
        assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", [name for name in STORED if name.endswith((".js", ".css"))])
async def test_what_an_asset_refers_to_is_stored(name, get):
    """Scripts name the chunks, workers and styles that they load in strings; styles name fonts in `url()`."""
    named = re.findall(r"[\"'`(/]([\w.-]+-[\w-]{8}\.(?:js|css|ttf))[\"'`)]", (await get(f"/assets/{name}")).text)
    assert set(named) <= set(STORED)


@pytest.mark.parametrize("page", PAGES)
async def test_a_page_names_no_other_host(page, get):
    response = await get(page)
    assert not re.findall(r"(?:https?:)?//[\w.]+", response.text)
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert not re.findall(r"https?:|\*|unsafe-eval|blob:", policy)
    assert "unsafe-inline" not in policy.replace("style-src 'self' 'unsafe-inline'" if page == "/graphql" else "", "")


@pytest.mark.parametrize("name", STORED)
async def test_no_asset_knows_a_registry_or_a_content_network(name, get):
    assert not SUPPLIERS.findall((await get(f"/assets/{name}")).content)


async def test_an_asset_is_kept_for_good(get):
    path = assets_of((await get("/")).text)[0]
    first = await get(path)
    assert first.headers["cache-control"] == "public, max-age=31536000, immutable"
    again = await get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])


async def test_an_asset_comes_gzipped_to_whom_it_may(get):
    path = f"/assets/{STORED[0]}"
    packed, plain = [await get(path, headers={"Accept-Encoding": coding}) for coding in ("br, gzip", "identity")]
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.content == plain.content  # httpx unpacks
    assert packed.headers["etag"] != plain.headers["etag"]
    assert {response.headers["vary"] for response in (packed, plain)} == {"Accept-Encoding"}


@pytest.mark.parametrize(
    ("accepted", "takes"),
    [
        ("gzip", True),
        ("br;q=1.0, GZIP;q=0.2", True),
        ("*", True),
        ("", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000, *", False),
        ("gzip;q=much", False),
    ],
)
def test_gzip_is_sent_only_where_it_is_accepted(accepted, takes):
    assert accepts_gzip(accepted) is takes


@pytest.mark.parametrize("name", ["nothing.js", "..%2Fhtml%2Flanding.html", "%00", "graphiql.html"])
async def test_other_names_are_not_found(name, get):
    assert (await get(f"/assets/{name}")).status_code == 404


async def test_assets_take_no_writes():
    async with client() as pages:
        assert (await pages.post(f"/assets/{STORED[0]}")).status_code == 405


async def test_what_is_off_is_not_linked():
    async with client(graphiql=False, docs=False) as pages:
        assert re.findall(r'<a href="([^"]+)"', (await pages.get("/")).text) == ["/api/health"]
        assert (await pages.get("/docs")).status_code == 404


async def test_graphiql_is_one_of_two_answers_of_its_address(get):
    assert (await get("/graphql")).headers["vary"] == "Accept"


def test_stored_assets_do_not_say_when_they_were_built():
    """So that a build of the same sources gives the same bytes."""
    times = {file.read_bytes()[4:8] for file in (files("gateway.pages") / "static").iterdir()}
    assert times == {bytes(4)}
