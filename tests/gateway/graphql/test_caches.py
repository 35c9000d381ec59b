"""The response cache: scope, limits and conditional requests."""

import re

import pytest

from models import Category
from tests.support.cache_metrics import get_cache_metrics, get_response_cache_hits
from tests.support.callers import ErrorResponse, GraphQL
from tests.support.writing import CONTENT, change_row, create_category


async def test_an_answer_is_given_again(api, server, published):
    """Over either protocol; the second time the database is not asked."""
    first = await api.page(None), await api.post(None, published["id"])
    before = await get_cache_metrics(server)
    assert (await api.page(None), await api.post(None, published["id"])) == first
    after = await get_cache_metrics(server)
    assert after["response"]["hits"] == before["response"]["hits"] + 2
    assert after["plan"] == before["plan"]


@pytest.mark.parametrize("path", ["/api/posts", "/api/posts?limit=3&status=PUBLISHED", "/api/posts/{id}"])
async def test_what_is_answered_from_memory_is_an_answer_like_any_other(make_server, published, path):
    """The same headers, charged and counted as much, until its caller may ask no more; HEAD and tags are heeded."""
    server, path = await make_server(rate_limit_api="6/hour", rate_limit_cost="1000/hour"), path.format(**published)
    http = server.anonymous
    responses = [await http.get(path) for _ in range(3)]
    assert await get_response_cache_hits(server) == 2
    first, *others = responses
    for response in others:
        assert (response.status_code, response.content) == (200, first.content)
        assert response.headers.keys() == first.headers.keys()
    left = [[int(number) for number in re.findall(r"r=(\d+)", response.headers["ratelimit"])] for response in responses]
    price = 1000 - left[0][1]
    assert left == [[5, 1000 - price], [4, 1000 - 2 * price], [3, 1000 - 3 * price]]
    head = await http.head(path)
    assert (head.content, head.headers["content-length"]) == (b"", str(len(first.content)))
    assert (await http.get(path, headers={"If-None-Match": first.headers["etag"]})).status_code == 304
    assert (await http.get(path, headers={"Authorization": "Bearer x"})).status_code == 401
    assert (await http.get(path)).status_code == 429
    assert (await http.get(path, headers={"X-Forwarded-For": "192.0.2.1"})).status_code == 429
    (series,) = re.findall(r'requests?_seconds_count\{.*?route="/api/posts.*?status="2xx"\} (\d+)', await told(server))
    assert int(series) == 4


async def told(server) -> str:
    return (await server.anonymous.get("/metrics")).text


async def test_strangers_count_by_the_address_that_a_trusted_proxy_names(make_server, published):
    """Of answers from memory, too."""
    server = await make_server(rate_limit_api="2/hour", trusted_proxies="127.0.0.1")
    for caller in ("192.0.2.1", "192.0.2.2"):
        request = [await server.anonymous.get("/api/posts", headers={"X-Forwarded-For": caller}) for _ in range(3)]
        assert [response.status_code for response in request] == [200, 200, 429]
    assert await get_response_cache_hits(server) >= 3


async def test_what_depends_on_the_viewer_is_theirs_alone(graphql, rest, author, stranger, admin, published):
    """Whoever asked before: a draft is its author's and the admins', a like its giver's."""
    draft = await graphql.create(author, title="A draft", content=CONTENT)
    await graphql.like(stranger, published["id"])
    for _ in range(2):
        for api in (graphql, rest):
            for viewer, sees, likes in [(author, 1, 0), (admin, 1, 0), (stranger, 0, 1), (None, 0, 0)]:
                found = await api.post(viewer, draft["id"])
                hidden = None if api is graphql else ErrorResponse("NOT_FOUND", "Post not found")
                assert (found == hidden) is not bool(sees)
                assert len((await api.page(viewer, status="DRAFT"))["data"]) == sees
                assert (await api.post(viewer, published["id"]))["viewerHasLiked"] is bool(likes)


async def test_an_account_is_kept_for_its_owner(graphql, rest, server, author, stranger):
    """As `viewer` declares; other personal answers are not kept."""
    before = await get_response_cache_hits(server)
    for viewer in (author, stranger, author, stranger):
        assert (await graphql.me(viewer))["name"] == (await rest.me(viewer))["name"] == viewer.name
    assert await get_response_cache_hits(server) == before + 4
    for _ in range(3):
        await graphql.ask("{ posts { nodes { viewerHasLiked } } }", author)
    assert await get_response_cache_hits(server) == before + 4


@pytest.mark.parametrize(
    "query",
    [
        "{ posts(first: 0) { totalCount } }",
        "{ __schema { queryType { name } } }",
        '{ categories { name } __type(name: "A") { name } }',
    ],
)
async def test_errors_and_introspection_are_not_cached(graphql, server, query):
    """Each time they are answered anew, with the request's own id."""
    before = await get_response_cache_hits(server)
    responses = [(await graphql.send(query)).json() for _ in range(3)]
    assert await get_response_cache_hits(server) == before
    ids = [error["extensions"]["requestId"] for response in responses for error in response.get("errors", ())]
    assert len(set(ids)) == len(ids)


async def test_nothing_is_kept_where_that_is_switched_off(uncached, published):
    """Nor taken."""
    for _ in range(3):
        assert (await uncached.anonymous.get(f"/api/posts/{published['id']}")).status_code == 200
    found = (await get_cache_metrics(uncached))["response"]
    assert (found["hits"], found["entries"], found["bytes"]) == (0, 0, 0)


async def test_a_list_is_counted_once_for_all_its_pages(make_server, server, graphql, author):
    """In either form of page, until a post comes or goes; whoever sees other posts has another count."""
    posts = [await graphql.create(author, title=f"P {n}", content=CONTENT, status="PUBLISHED") for n in range(3)]
    await graphql.create(author, title="A draft", content=CONTENT)
    server = await make_server(response_cache="off")
    http = GraphQL(server.anonymous)

    async def totals(viewer) -> list[int]:
        pages = [await http.page(viewer, page=page, limit=1) for page in (1, 2, 9)]
        mine = await http.posts(viewer, "totalCount nodes { id }", filter={"status": None}, first=1)
        found = await http.posts(viewer, "all: totalCount", first=1)
        return [*(page["pagination"]["total"] for page in pages), mine["totalCount"], found["all"]]

    assert await totals(None) == await totals(None) == [3, 3, 3, 3, 3]
    assert await totals(author) == await totals(author) == [3, 3, 3, 4, 3]
    kept = (await get_cache_metrics(server))["count"]
    assert (kept["entries"], kept["hits"] > 10) == (3, True)  # one that is a viewer's own is taken anew each time
    await http.archive(author, posts[0]["id"])
    assert [await totals(None), await totals(author)] == [[2, 2, 2, 2, 2], [2, 2, 2, 4, 2]]


async def test_what_is_kept_is_bounded(make_server, published):
    """The answers used last are kept, in so many bytes."""
    server = await make_server(response_cache_bytes=20_000)
    for number in range(1, 41):
        await server.anonymous.get(f"/api/posts?limit={number}")
        await server.anonymous.get("/api/posts?limit=100")
    found = (await get_cache_metrics(server))["response"]
    assert found["hits"] == 39
    assert found["bytes"] <= 20_000
    assert 5 < found["entries"] < 20


PATHS = ["/api/posts", "/api/posts/{id}", "/api/auth/me", "/graphql?query={posts{totalCount}}", "/openapi.json"]


async def test_a_client_with_a_current_response_gets_304(server, author, published):
    """304 to the tag that came with it, whole or weakened; 200 to any other."""
    for path in PATHS:
        await revalidate(server, author, path.replace("{id}", published["id"]))


async def revalidate(server, author, url):
    first = await server.anonymous.get(url, headers=author.headers)
    tag = first.headers["ETag"]
    for known in (tag, f'"other", W/{tag}', "*"):
        again = await server.anonymous.get(url, headers=author.headers | {"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
        assert again.headers["Cache-Control"] == first.headers["Cache-Control"]
        assert again.headers["Vary"] == first.headers["Vary"]
    other = await server.anonymous.get(url, headers=author.headers | {"If-None-Match": '"other"'})
    assert (other.status_code, other.content) == (200, first.content)


async def test_a_tag_changes_with_what_it_names(server, graphql, stranger, published):
    """A like, which the list shows."""
    paths = ["/api/posts", "/graphql?query={posts{nodes{likeCount}}}"]
    tags = [(await server.anonymous.get(path)).headers["ETag"] for path in paths]
    await graphql.like(stranger, published["id"])
    for path, tag in zip(paths, tags, strict=True):
        response = await server.anonymous.get(path, headers={"If-None-Match": tag})
        assert (response.status_code, response.headers["ETag"] != tag) == (200, True)


SAFE = "private, no-cache"


DECLARED = [
    ("{categories{name slug}}", "public, max-age=60", "private, max-age=60"),
    ("{categories{name posts{totalCount}}}", "public, max-age=60", "private, max-age=60"),
    ("{categories{name posts{nodes{id}}}}", SAFE, SAFE),
    ("{categories{name}viewer{name}}", SAFE, SAFE),
    ("{tags{name}}", SAFE, SAFE),
    ("{posts{nodes{viewerHasLiked}}}", SAFE, SAFE),
    ("{__typename}", SAFE, SAFE),
]


async def test_cache_control_is_the_least_of_what_is_shown(server, author):
    """As types declare it; shared caches may keep what nobody's credentials decided. Kept or not, it is the same."""
    for query, nobodys, somebodys in DECLARED:
        for headers, expected in [({}, nobodys), (author.headers, somebodys), ({"Cookie": "a=b"}, somebodys)] * 2:
            await declares(server, query, headers, expected)


async def declares(server, query, headers, expected):
    response = await server.anonymous.get("/graphql", params={"query": query}, headers=headers)
    assert (response.status_code, response.headers["Cache-Control"]) == (200, expected)
    assert response.headers["Vary"] == "Accept, Authorization, Cookie, X-API-Key"


async def test_what_is_posted_or_refused_is_not_stored(server):
    """No cache on the way keeps it."""
    posted = await server.anonymous.post("/graphql", json={"query": "{categories{name}}"})
    rejected = await server.anonymous.get("/graphql", params={"query": "{posts(first:0){totalCount}}"})
    for response in (posted, rejected):
        assert response.headers["Cache-Control"] == "no-store"
        assert "ETag" not in response.headers


async def test_each_form_of_an_answer_is_its_own(server):
    """Two media types, one reading."""
    for accept in ("application/json", "application/graphql-response+json") * 2:
        response = await server.anonymous.get("/graphql?query={__typename}", headers={"Accept": accept})
        assert response.headers["Content-Type"].startswith(accept)


async def test_rows_that_no_event_tells_of_are_looked_at_again_in_time(make_server, monkeypatch):
    """A category that somebody renames by hand."""
    monkeypatch.setattr("gateway.graphql.cache.response_cache.ENTRY_LIFETIME_SECONDS", 0.0)
    server = await make_server()
    category = await create_category(server.db, "Wood")
    server.db.on_commit = lambda events: None
    query = {"query": "{ categories { name } }"}
    for name in ("Wood", "Metal"):
        await change_row(server.db, Category, category["id"], name=name)
        response = await server.anonymous.post("/graphql", json=query)
        assert response.json() == {"data": {"categories": [{"name": name}]}}
