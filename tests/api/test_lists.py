"""Lists of posts: what they hold, in what order, and a page at a time."""

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.callers import ErrorResponse
from tests.support.writing import CONTENT, UNKNOWN_ID, create_category

LANGUAGES = [
    ("Die STRASSE", "straße"),
    ("Große Straße", "STRASSE"),
    ("ΟΔΥΣΣΕΎΣ", "οδυσσεύς"),
    ("Ο Σίσυφος", "ΣΊΣΥΦΟΣ"),
    ("İSTANBUL", "istanbul"),
    ("istanbul", "İSTANBUL"),
    ("ISPARTA", "ısparta"),
    ("Москва", "МОСКВА"),
    ("ЁЛКА", "ёлка"),
    ("CAFÉ", "cafe\u0301"),
]


async def write(api: Any, viewer: Any, *titles: str, **fields: Any) -> list[dict[str, Any]]:
    """Published posts of these titles, one after another."""
    return [
        await api.create(viewer, **{"title": title, "content": CONTENT, "status": "PUBLISHED", **fields})
        for title in titles
    ]


def titles(response: Any) -> list[str]:
    return [post["title"] for post in response.get("nodes", response.get("data"))]


async def search(api: Any, q: str, viewer: Any = None) -> list[str]:
    return sorted(titles(await api.page(viewer, q=q)))


async def test_a_page_is_newest_first_with_its_numbers(api, graphql, author):
    """Whole items, and how many there are."""
    posts = await write(graphql, author, "One", "Two", "Three")
    names = ("id", "title", "slug", "excerpt", "status", "publishedAt", "author", "commentCount", "likeCount")
    items = [{name: post[name] for name in names} for post in reversed(posts)]
    assert await api.page(None, limit=2) == {
        "data": items[:2],
        "pagination": {"page": 1, "limit": 2, "total": 3, "pages": 2},
    }
    assert await api.page(None, limit=2, page=2) == {
        "data": items[2:],
        "pagination": {"page": 2, "limit": 2, "total": 3, "pages": 2},
    }
    beyond = await api.page(None, limit=2, page=9)
    assert beyond == {"data": [], "pagination": {"page": 9, "limit": 2, "total": 3, "pages": 2}}


async def test_an_empty_list_has_no_pages(api):
    """Nothing is not an error."""
    assert await api.page(None) == {"data": [], "pagination": {"page": 1, "limit": 20, "total": 0, "pages": 0}}


@pytest.mark.parametrize(
    ("page", "limit", "field"), [(0, 20, "page"), (-1, 20, "page"), (1, 0, "limit"), (1, 101, "limit")]
)
async def test_a_page_out_of_range_is_refused_and_not_clamped(api, page, limit, field):
    """By the name of what is wrong."""
    refusal = await api.page(None, page=page, limit=limit)
    assert (refusal.code, list(refusal.details)) == ("VALIDATION_ERROR", [field])


@pytest.mark.parametrize(
    ("arguments", "fields"),
    [
        ({"first": 0}, ["first"]),
        ({"first": -1}, ["first"]),
        ({"first": 101}, ["first"]),
        ({"last": 0}, ["last"]),
        ({"last": 101}, ["last"]),
        ({"first": 2, "last": 2}, ["last"]),
        ({"after": "rubbish"}, ["after"]),
        ({"before": "cnViYmlzaA"}, ["before"]),
        ({"after": ""}, ["after"]),
        ({"after": "é"}, ["after"]),
    ],
    ids=str,
)
async def test_connection_arguments_out_of_range_are_refused(graphql, arguments, fields):
    """So are cursors that are none of ours."""
    refusal = await graphql.posts(None, **arguments)
    assert isinstance(refusal, ErrorResponse), refusal
    assert (refusal.code, sorted(refusal.details)) in [
        ("VALIDATION_ERROR", fields),
        ("VALIDATION_ERROR", sorted(arguments)),
    ]


async def test_nested_lists_have_the_same_limits(graphql, author, published):
    """Wherever a connection stands."""
    for field in ("posts(first: 101)", "posts(first: 0)"):
        refusal = await graphql.one(f"query($id: ID!) {{ user(id: $id) {{ {field} {{ totalCount }} }} }}", id=author.id)
        assert (refusal.code, list(refusal.details)) == ("VALIDATION_ERROR", ["first"])
    document = "query($id: ID!) { post(id: $id) { comments(first: 101) { totalCount } } }"
    refusal = await graphql.one(document, id=published["id"])
    assert (refusal.code, list(refusal.details)) == ("VALIDATION_ERROR", ["first"])


@pytest.mark.parametrize(("title", "q"), LANGUAGES)
async def test_search_ignores_case_in_every_script(api, author, title, q):
    """In titles and in content."""
    await write(api, author, title)
    await write(api, author, "Other", content=f"Somewhere inside: {title}, and more.")
    assert await search(api, q) == sorted([title, "Other"])
    assert await search(api, title) == sorted([title, "Other"])


async def test_search_takes_wildcards_literally(api, author):
    """A percent sign, an underscore and a backslash are what they look like."""
    await write(api, author, "100% sure", "snake_case", "back\\slash", "nothing special")
    found = {q: await search(api, q) for q in ["%", "_", "\\", "0% s", "e_c", "k\\s", "'", '"', "%%", "___"]}
    assert found == {
        "%": ["100% sure"],
        "_": ["snake_case"],
        "\\": ["back\\slash"],
        "0% s": ["100% sure"],
        "e_c": ["snake_case"],
        "k\\s": ["back\\slash"],
        "'": [],
        '"': [],
        "%%": [],
        "___": [],
    }


async def test_search_finds_nothing_that_the_searcher_may_not_see(api, author, stranger, draft):
    """A hidden word is not a found one."""
    assert await search(api, "draft", stranger) == []
    assert titles(await api.page(author, q="draft", status="DRAFT")) == ["A draft"]
    assert titles(await api.page(stranger, q="draft", status="DRAFT")) == []


async def test_an_empty_search_finds_everything(api, author):
    """It is contained in every text."""
    await write(api, author, "Any", "All")
    assert await search(api, "") == ["All", "Any"]


TEXT = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=6)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(word=TEXT, around=st.tuples(TEXT, TEXT))
async def test_whatever_is_written_is_found_in_either_case(graphql, author, word, around):
    """Any text, upper or lower, within any other."""
    post = await graphql.create(
        author, title="Found", content=f"{around[0]} {word} {around[1]} padding", status="PUBLISHED"
    )
    for q in (word, word.upper(), word.lower()):
        found = await graphql.posts(None, "nodes { id }", filter={"q": q}, first=100)
        assert {"id": post["id"]} in found["nodes"], q
    await graphql.delete(author, post["id"])


async def test_filters_choose_by_author_category_and_tag(graphql, server, author, stranger):
    """Every one given must hold."""
    category = await create_category(server.db, "Chosen")
    await write(graphql, author, "Filed", categoryId=category["id"], tags=["red", "blue"])
    await write(graphql, author, "Tagged", tags=["red"])
    await write(graphql, stranger, "Theirs", categoryId=category["id"], tags=["red"])
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({"authorId": author.id}, ["Filed", "Tagged"]),
        ({"categoryId": category["id"]}, ["Filed", "Theirs"]),
        ({"tag": "red"}, ["Filed", "Tagged", "Theirs"]),
        ({"tag": "blue"}, ["Filed"]),
        ({"tag": "red", "authorId": author.id, "categoryId": category["id"]}, ["Filed"]),
        ({"tag": "green"}, []),
        ({"authorId": UNKNOWN_ID}, []),
        ({"authorId": "rubbish"}, []),
        ({"categoryId": "rubbish"}, []),
        ({"tag": "red", "q": "FILE"}, ["Filed"]),
        (
            {"authorId": None, "categoryId": None, "tag": None, "q": None, "deleted": None},
            ["Filed", "Tagged", "Theirs"],
        ),
        ({"status": None}, ["Filed", "Tagged", "Theirs"]),
    ]
    found = [sorted(titles(await graphql.posts(None, filter=filter))) for filter, _ in cases]
    assert found == [expected for _, expected in cases]


async def test_status_chooses_among_what_one_may_see(api, author, stranger, draft, published):
    """A stranger's list of drafts is empty, not refused."""
    assert titles(await api.page(author, status="DRAFT")) == ["A draft"]
    assert titles(await api.page(stranger, status="DRAFT")) == []
    assert titles(await api.page(None, status="PUBLISHED")) == ["A published post"]


async def test_an_unknown_status_is_refused(api):
    """In both protocols by its name or in its words."""
    refusal = await api.page(None, status="SOLD")
    assert refusal.code == "VALIDATION_ERROR"


async def test_lists_come_in_each_order(graphql, author, stranger):
    """Titles compare without their case, alike on both databases."""
    posts = await write(graphql, author, "banana", "Apple", "äpfel", "cherry", "Éclair", "Zebra")
    await graphql.like(stranger, posts[3]["id"])
    await graphql.like(author, posts[3]["id"])
    await graphql.like(author, posts[0]["id"])
    orders = {
        order: titles(await graphql.posts(None, orderBy=order)) for order in ("OLDEST", "NEWEST", "TITLE", "MOST_LIKED")
    }
    written = [post["title"] for post in posts]
    assert orders == {
        "OLDEST": written,
        "NEWEST": written[::-1],
        "TITLE": ["Apple", "banana", "cherry", "Zebra", "äpfel", "Éclair"],
        "MOST_LIKED": ["cherry", "banana", "Zebra", "Éclair", "äpfel", "Apple"],
    }


PAGE = "nodes { title } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"


async def walk(graphql, direction: str, between=None, **arguments: Any) -> list[list[str]]:
    """All pages of two, forwards or backwards, with something done between them."""
    size, place, more, end = {
        "forwards": ("first", "after", "hasNextPage", "endCursor"),
        "backwards": ("last", "before", "hasPreviousPage", "startCursor"),
    }[direction]
    pages, cursor = [], None
    while True:
        page = await graphql.posts(None, PAGE, **{size: 2, place: cursor}, **arguments)
        pages.append(titles(page))
        if not page["pageInfo"][more] or len(pages) > 10:
            return pages
        cursor = page["pageInfo"][end]
        if between:
            await between()


@pytest.mark.parametrize("order", ["NEWEST", "OLDEST", "TITLE", "MOST_LIKED"])
async def test_pages_join_into_the_whole_list_in_both_directions(graphql, author, stranger, order):
    """Nothing twice, nothing left out."""
    posts = await write(graphql, author, "delta", "Alpha", "charlie", "Bravo", "echo")
    for post in posts[1:3]:
        await graphql.like(stranger, post["id"])
    whole = titles(await graphql.posts(None, orderBy=order))
    forwards, backwards = [await walk(graphql, way, orderBy=order) for way in ("forwards", "backwards")]
    assert forwards == [whole[:2], whole[2:4], whole[4:]]
    assert backwards == [whole[3:], whole[1:3], whole[:1]]


async def test_posts_written_between_pages_shift_nothing(graphql, author):
    """Newest first, going on from a cursor: new ones are before it."""
    await write(graphql, author, *"edcba")

    async def meanwhile() -> None:
        await write(graphql, author, "new")

    assert await walk(graphql, "forwards", meanwhile) == [["a", "b"], ["c", "d"], ["e"]]


async def test_a_page_knows_what_lies_on_either_side(graphql, author):
    """And its edges carry the cursors."""
    await write(graphql, author, *"dcba")
    first = await graphql.posts(None, f"{PAGE} edges {{ cursor node {{ title }} }} totalCount", first=2)
    cursors = [edge["cursor"] for edge in first["edges"]]
    assert first == {
        "nodes": [{"title": "a"}, {"title": "b"}],
        "edges": [{"cursor": cursors[0], "node": {"title": "a"}}, {"cursor": cursors[1], "node": {"title": "b"}}],
        "pageInfo": {
            "hasNextPage": True,
            "hasPreviousPage": False,
            "startCursor": cursors[0],
            "endCursor": cursors[1],
        },
        "totalCount": 4,
    }
    second = await graphql.posts(None, PAGE, first=2, after=cursors[1])
    assert (titles(second), second["pageInfo"]["hasNextPage"], second["pageInfo"]["hasPreviousPage"]) == (
        ["c", "d"],
        False,
        True,
    )


async def test_an_empty_page_has_no_cursors(graphql):
    """They are null."""
    assert await graphql.posts(None, f"{PAGE} edges {{ cursor }} totalCount", first=2) == {
        "nodes": [],
        "edges": [],
        "pageInfo": {"hasNextPage": False, "hasPreviousPage": False, "startCursor": None, "endCursor": None},
        "totalCount": 0,
    }


async def test_a_cursor_outlives_its_post(graphql, author):
    """A page goes on from where the deleted post was."""
    posts = await write(graphql, author, *"dcba")
    page = await graphql.posts(None, PAGE, first=2)
    await graphql.delete(author, posts[2]["id"])
    assert titles(await graphql.posts(None, PAGE, first=2, after=page["pageInfo"]["endCursor"])) == ["c", "d"]


async def test_a_cursor_of_one_order_is_no_cursor_of_another(graphql, author):
    """It is refused, or reads as a place in that order; it is never a fault."""
    await write(graphql, author, *"cba")
    cursor = (await graphql.posts(None, PAGE, first=1, orderBy="TITLE"))["pageInfo"]["endCursor"]
    for order in ("NEWEST", "OLDEST", "MOST_LIKED"):
        response = await graphql.posts(None, PAGE, first=1, after=cursor, orderBy=order)
        assert isinstance(response, dict) or (response.code, list(response.details)) == ("VALIDATION_ERROR", ["after"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cursor=st.text(max_size=60)
    | st.text("ABCDEFabcdef0123456789-_", max_size=80)
    | st.binary(max_size=40).map(lambda raw: __import__("base64").urlsafe_b64encode(raw).decode().rstrip("=")),
    order=st.sampled_from(["NEWEST", "OLDEST", "TITLE", "MOST_LIKED"]),
)
async def test_no_cursor_that_one_could_invent_is_a_fault(graphql, cursor, order):
    """It is refused by name, or reads as a place in the list."""
    try:
        cursor.encode()
    except UnicodeEncodeError:
        return
    response = await graphql.posts(None, PAGE, first=1, after=cursor, orderBy=order)
    assert isinstance(response, dict) or response.code == "VALIDATION_ERROR"


async def test_categories_come_by_name_and_tags_up_to_a_number(graphql, server, author):
    """Everyone may read them."""
    for name in ("Science", "Art"):
        await create_category(server.db, name)
    await write(graphql, author, "Tagged", tags=["b", "a", "c"])
    response = await graphql.ask("{ categories { name slug } tags(first: 2) { name } }")
    assert response == {
        "categories": [{"name": "Art", "slug": "art"}, {"name": "Science", "slug": "science"}],
        "tags": [{"name": "a"}, {"name": "b"}],
    }
    refusal = await graphql.ask("{ tags(first: 0) { name } }")
    assert (refusal.code, list(refusal.details)) == ("VALIDATION_ERROR", ["first"])


async def test_reads_while_others_write_are_never_refused(graphql, author):
    """Lists go on answering under a burst of writes."""
    await write(graphql, author, "First")
    responses = await asyncio.gather(
        *(graphql.create(author, title=f"Burst {n}", content=CONTENT, status="PUBLISHED") for n in range(10)),
        *(graphql.posts(None, "totalCount") for _ in range(20)),
    )
    assert not [response for response in responses if isinstance(response, ErrorResponse)]
    assert await graphql.posts(None, "totalCount") == {"totalCount": 11}
