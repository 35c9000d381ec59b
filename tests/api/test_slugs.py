"""Slugs: readable, unique, and there to stay."""

import asyncio
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.callers import ErrorResponse
from tests.support.writing import CONTENT

READABLE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


async def slug(api, author, title: str) -> str:
    return (await api.create(author, title=title, content=CONTENT))["slug"]


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Hello, World!", "hello-world"),
        ("Crème brûlée", "creme-brulee"),
        ("Straße", "strasse"),
        ("C++ and C#", "c-plus-plus-and-c-sharp"),
        ("  100 % sure_thing  ", "100-sure-thing"),
    ],
)
async def test_a_slug_is_the_titles_words(api, author, title, expected):
    """In ASCII, in lower case."""
    assert await slug(api, author, title) == expected


async def test_posts_of_one_title_have_slugs_of_their_own(api, author):
    """A readable suffix, only on collision."""
    assert [await slug(api, author, "Same title") for _ in range(3)] == ["same-title", "same-title-2", "same-title-3"]
    assert await slug(api, author, "Same title 2") == "same-title-2-2"


async def test_a_deleted_post_keeps_its_slug(api, author, admin, graphql):
    """So that it can be restored, and its links never lead to another."""
    post = await api.create(author, title="Taken", content=CONTENT)
    await api.delete(author, post["id"])
    assert await slug(api, author, "Taken") == "taken-2"
    assert (await graphql.restore(admin, post["id"]))["slug"] == "taken"


@pytest.mark.parametrize("title", ["日本語", "🎉", "!!!", "Ω", "العربية", "-", "İ"])
async def test_every_title_has_a_slug(api, author, title):
    """Even one that leaves no ASCII letter; twice, with two slugs."""
    slugs = {await slug(api, author, title), await slug(api, author, title)}
    assert len(slugs) == 2
    assert all(READABLE.fullmatch(one) for one in slugs)


async def test_a_slug_does_not_follow_a_later_title(api, graphql, author, published):
    """Links live."""
    renamed = await api.update(author, published["id"], title="Something else entirely")
    assert renamed["slug"] == published["slug"]
    found = await graphql.one("query($slug: String) { post(slug: $slug) { title } }", slug=published["slug"])
    assert found == {"title": "Something else entirely"}


async def test_posts_of_one_title_written_at_once_all_succeed(api, author, stranger):
    """None is refused, and no two share a slug."""
    writers = [author, stranger] * 8
    posts = await asyncio.gather(*(api.create(who, title="All at once", content=CONTENT) for who in writers))
    assert not [post for post in posts if isinstance(post, ErrorResponse)]
    numbered = {"all-at-once", *(f"all-at-once-{number}" for number in range(2, 17))}
    assert {post["slug"] for post in posts} == numbered


async def test_new_tags_used_at_once_are_made_once(api, author, stranger):
    """Two transactions that make the same tags neither fail nor wait for each other for ever."""
    tags = [["one", "two", "three"], ["three", "two", "one"]] * 4
    posts = await asyncio.gather(
        *(
            api.create(author, title=f"Tagged {number}", content=CONTENT, tags=names)
            for number, names in enumerate(tags)
        )
    )
    assert {tuple(tag["slug"] for tag in post["tags"]) for post in posts} == {("one", "three", "two")}
    assert len({tag["id"] for post in posts for tag in post["tags"]}) == 3


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(title=st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=100))
async def test_any_title_either_makes_a_readable_slug_or_is_refused_by_name(graphql, author, title):
    """No title is a fault of the server's."""
    response = await graphql.create(author, title=title, content=CONTENT)
    if title.strip():
        assert READABLE.fullmatch(response["slug"])
        assert response["title"] == title.strip()
        assert len(response["slug"]) <= 100
    else:
        assert (response.code, list(response.details)) == ("VALIDATION_ERROR", ["title"])
