"""Pages: walked from end to end, in both directions, in every order; and what is refused of them."""

import base64
from typing import Any

import pytest

from schema.types import PostOrder
from tests.gateway.graphql import world
from tests.gateway.graphql.conftest import EngineClient

WALK = """query($first: Int, $after: String, $last: Int, $before: String, $order: PostOrder) {
  posts(first: $first, after: $after, last: $last, before: $before, orderBy: $order, filter: {status: null}) {
    nodes { id } edges { cursor } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"""
PAGE = "query($page: Int, $limit: Int) { postPage(page: $page, limit: $limit, filter: {status: null})"


async def page_of(client: EngineClient, **variables: Any) -> dict[str, Any]:
    return (await client.data(WALK, variables, world.ADMIN))["posts"]


async def walk(client: EngineClient, order: str, *, backward: bool) -> list[str]:
    size, cursor = ("last", "before") if backward else ("first", "after")
    more, start = ("hasPreviousPage", "startCursor") if backward else ("hasNextPage", "endCursor")
    met: list[str] = []
    variables = {size: 5, "order": order}
    while True:
        page = await page_of(client, **variables)
        ids = [node["id"] for node in page["nodes"]]
        met = ids + met if backward else met + ids
        if not page["pageInfo"][more]:
            return met
        variables[cursor] = page["pageInfo"][start]


@pytest.mark.parametrize("order", [order.name for order in PostOrder])
async def test_a_walk_meets_every_row_once_in_either_direction(client: EngineClient, order: str) -> None:
    """Whatever ties there are in the order."""
    forward, backward = [await walk(client, order, backward=each) for each in (False, True)]
    everything = [str(post.id) for post in world.POSTS if post.deleted_at is None]
    assert forward == backward
    assert sorted(forward) == sorted(everything)


async def test_both_databases_sort_alike(client: EngineClient) -> None:
    """By what the oracle sorts by, and not by a locale."""
    rows = sorted(
        (post for post in world.POSTS if not post.deleted_at), key=lambda row: (row.folded_title, str(row.id))
    )
    assert await walk(client, "TITLE", backward=False) == [str(row.id) for row in rows]


async def test_cursors_may_bound_a_page_at_both_ends(client: EngineClient) -> None:
    """`first` before a cursor, `last` after one, and either between two."""
    whole = await page_of(client, first=20)
    ids, cursors = [node["id"] for node in whole["nodes"]], [edge["cursor"] for edge in whole["edges"]]
    for given, expected, previous, following in [
        ({"first": 3, "before": cursors[9]}, ids[0:3], False, True),
        ({"last": 3, "before": cursors[9]}, ids[6:9], True, True),
        ({"before": cursors[3]}, ids[0:3], False, True),
        ({"first": 3, "after": cursors[2], "before": cursors[9]}, ids[3:6], True, True),
        ({"last": 3, "after": cursors[2], "before": cursors[9]}, ids[6:9], True, True),
        ({"first": 100, "after": cursors[2], "before": cursors[5]}, ids[3:5], True, True),
    ]:
        page = await page_of(client, **given)
        assert [node["id"] for node in page["nodes"]] == expected, given
        info = page["pageInfo"]
        assert (info["hasPreviousPage"], info["hasNextPage"]) == (previous, following), given
        assert (info["startCursor"], info["endCursor"]) == (page["edges"][0]["cursor"], page["edges"][-1]["cursor"])


async def test_an_empty_page_has_no_cursors(client: EngineClient) -> None:
    """And nothing before or after it."""
    source = (
        '{ posts(filter: {q: "nowhere"}) { nodes { id } totalCount pageInfo { hasNextPage startCursor endCursor } } }'
    )
    info = {"hasNextPage": False, "startCursor": None, "endCursor": None}
    assert await client.data(source) == {"posts": {"nodes": [], "totalCount": 0, "pageInfo": info}}


@pytest.mark.parametrize("size", [0, -1, 101, 2**31 - 1])
@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("first", "query($n: Int = 5) { posts(first: $n) { totalCount } }"),
        ("last", "query($n: Int) { posts(last: $n) { nodes { id } } }"),
        ("limit", "query($n: Int) { postPage(limit: $n) { page } }"),
        ("first", "query($n: Int) { tags(first: $n) { id } }"),
        ("first", "query($n: Int) { tags { posts { nodes { comments(first: $n) { nodes { id } } } } } }"),
    ],
)
async def test_sizes_out_of_range_are_refused(client: EngineClient, name: str, source: str, size: int) -> None:
    """Not clamped; from a variable and from the document alike, at any depth, even if only a count is asked for."""
    given = await client(source, {"n": size})
    written = await client(
        source.replace("$n)", f"{size})").replace("query($n: Int = 5)", "").replace("query($n: Int)", "")
    )
    for result in (given, written):
        assert result["data"] is None
        (error,) = result["errors"]
        assert error["extensions"]["code"] == "VALIDATION_ERROR"
        assert error["extensions"]["details"] == {name: ["must be between 1 and 100"]}


@pytest.mark.parametrize("page", [0, -3])
async def test_pages_start_at_one(client: EngineClient, page: int) -> None:
    """Page 0 is no page."""
    rejected = await client.error(PAGE + "{ data { id } } }", {"page": page})
    assert list(rejected["extensions"]["details"]) == ["page"]


async def test_a_page_far_away_is_empty(client: EngineClient) -> None:
    """However large `page` times `limit` is; numbers that no Int can be are refused."""
    far = await client.data(PAGE + "{ data { id } page pages } }", {"page": 2**31 - 1, "limit": 100}, world.ADMIN)
    assert far == {"postPage": {"data": [], "page": 2**31 - 1, "pages": 1}}
    beyond = await client.error(PAGE + "{ data { id } } }", {"page": 2**63})
    assert (beyond["extensions"]["code"], "path" in beyond) == ("VALIDATION_ERROR", False)


@pytest.mark.parametrize(
    ("variables", "page", "limit"),
    [
        ("", "2147483647", "100"),
        ("query($n: Int = 2147483647)", "$n", "100"),
        ("query($n: Int = 100)", "2147483647", "$n"),
    ],
)
async def test_nor_does_it_matter_where_its_number_stands(
    client: EngineClient, variables: str, page: str, limit: str
) -> None:
    """In the document, or beside it."""
    source = f"{variables} {{ postPage(page: {page}, limit: {limit}) {{ data {{ id }} page limit }} }}"
    assert await client.data(source) == {"postPage": {"data": [], "page": 2**31 - 1, "limit": 100}}


async def test_first_and_last_exclude_each_other(client: EngineClient) -> None:
    """Whatever they say."""
    rejected = await client.error("query($n: Int) { posts(first: $n, last: 2) { totalCount } }", {"n": 1})
    assert rejected["extensions"]["details"] == {"last": ["cannot be given together with first"]}
    assert await client.data("query($n: Int) { posts(first: $n, last: 2) { nodes { __typename } } }", {"n": None}) == {
        "posts": {"nodes": [{"__typename": "Post"}] * 2}
    }


def forged(*parts: str) -> str:
    return base64.urlsafe_b64encode("\x1f".join(parts).encode()).decode().rstrip("=")


MOMENT, ID = "2026-01-01T00:00:00.000000Z", str(world.POSTS[0].id)


@pytest.mark.parametrize(
    ("order", "cursor"),
    [
        *(("NEWEST", bad) for bad in ("", "x", "%%%", "é", "A" * 5000, forged(MOMENT), forged(MOMENT, ID, ID))),
        *(("NEWEST", forged(bad, ID)) for bad in ("", "now", "2026-01-01T00:00:00", "0001-01-01T00:00:00+23:59x", "1")),
        ("NEWEST", forged(MOMENT, "no-id")),
        *(("MOST_LIKED", forged(bad, ID)) for bad in ("", "x", "1.5", "9" * 30, str(2**31), "1e3")),
        ("TITLE", forged("\0", ID)),
    ],
)
async def test_what_is_no_cursor_is_refused(client: EngineClient, order: str, cursor: str) -> None:
    """With the argument's name, and never a 500."""
    for name in ("after", "before"):
        source = f"query($c: String, $o: PostOrder) {{ posts({name}: $c, orderBy: $o) {{ nodes {{ id }} }} }}"
        rejected = await client.error(source, {"c": cursor, "o": order})
        assert rejected["extensions"]["code"] == "VALIDATION_ERROR"
        assert rejected["extensions"]["details"] == {name: ["is not a cursor of this list"]}
        assert rejected["path"] == ["posts"]


async def test_odd_but_sound_cursors_are_answered(client: EngineClient) -> None:
    """Moments at the ends of time, numbers at the ends of their column."""
    for order, first in [
        ("NEWEST", "0001-01-01T00:00:00.000000Z"),
        ("OLDEST", "9999-12-31T23:59:59.999999Z"),
        ("MOST_LIKED", str(-(2**31))),
        ("TITLE", "'; drop table posts; --\\"),
    ]:
        source = "query($c: String, $o: PostOrder) { posts(after: $c, orderBy: $o) { nodes { id } } }"
        assert "errors" not in await client(source, {"c": forged(first, ID), "o": order}), order
