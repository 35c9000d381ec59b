"""Every change writes its facts in the same transaction, and a failed one writes none."""

import pytest

from models import Event, Post, PostTag, Tag
from tests.support.callers import ErrorResponse
from tests.support.writing import CONTENT, UNKNOWN_ID, count_rows, get_event_types, get_events

WRITTEN = [Post, Tag, PostTag, Event]


async def test_a_draft_is_created_and_nothing_more(api, server, author):
    """Who did it to what is in the log."""
    post = await api.create(author, title="Quietly", content=CONTENT)
    assert await get_events(server.db) == [("post.created", post["id"], author.id)]


async def test_a_post_created_as_published_is_created_then_published(api, server, author):
    """One event per fact."""
    await api.create(author, title="At once", content=CONTENT, status="PUBLISHED")
    assert await get_event_types(server.db) == ["post.created", "post.published"]


async def test_each_change_is_one_fact(api, graphql, server, author, admin):
    """From its creation to its restoration."""
    post = await api.create(author, title="A life", content=CONTENT)
    await api.update(author, post["id"], title="A longer life")
    await api.publish(author, post["id"])
    await graphql.like(admin, post["id"])
    comment = await graphql.comment(admin, post["id"], "Well lived")
    await graphql.uncomment(admin, comment["id"])
    await graphql.unlike(admin, post["id"])
    await api.archive(author, post["id"])
    await api.delete(author, post["id"])
    await graphql.restore(admin, post["id"])
    assert await get_events(server.db) == [
        ("post.created", post["id"], author.id),
        ("post.updated", post["id"], author.id),
        ("post.published", post["id"], author.id),
        ("post.liked", post["id"], admin.id),
        ("comment.added", comment["id"], admin.id),
        ("comment.deleted", comment["id"], admin.id),
        ("post.unliked", post["id"], admin.id),
        ("post.archived", post["id"], author.id),
        ("post.deleted", post["id"], author.id),
        ("post.restored", post["id"], admin.id),
    ]


async def test_an_edit_that_also_publishes_is_both_facts(api, server, author, draft):
    """In that order."""
    await api.update(author, draft["id"], title="Edited and out", status="PUBLISHED")
    assert await get_event_types(server.db) == ["post.created", "post.updated", "post.published"]


async def test_what_changes_nothing_is_no_fact(api, graphql, server, author, admin, published):
    """Publishing what is published, liking what is liked."""
    await api.publish(author, published["id"])
    await api.update(author, published["id"], title=published["title"])
    await graphql.unlike(author, published["id"])
    await graphql.restore(admin, published["id"])
    assert await get_event_types(server.db) == ["post.created", "post.published"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"title": ""},
        {"title": "x" * 101},
        {"content": "too short"},
        {"excerpt": "x" * 301},
        {"tags": ["good", ""]},
        {"tags": ["good", "🎉"]},
        {"categoryId": UNKNOWN_ID},
        {"categoryId": "rubbish"},
        {"title": "nul\0"},
    ],
    ids=str,
)
async def test_a_refused_creation_leaves_nothing(api, server, author, wrong):
    """No row, no event, no tag, and the slug is free for the next."""
    written = {"title": "Half written", "content": CONTENT, "tags": ["good"], **wrong}
    refusal = await api.create(author, **written)
    assert isinstance(refusal, ErrorResponse), refusal
    (field,) = {name.split(".")[0] for name in refusal.details}
    assert (refusal.code, field) == ("VALIDATION_ERROR", next(iter(wrong)))
    assert await count_rows(server.db, WRITTEN) == {"posts": 0, "tags": 0, "post_tags": 0, "events": 0}
    assert (await api.create(author, title="Half written", content=CONTENT))["slug"] == "half-written"


@pytest.mark.parametrize(
    "wrong", [{"title": ""}, {"content": "short"}, {"tags": ["new", "🎉"]}, {"categoryId": UNKNOWN_ID}], ids=str
)
async def test_a_refused_edit_changes_nothing(api, server, author, draft, wrong):
    """Not even what was right in it."""
    refusal = await api.update(author, draft["id"], **{"excerpt": "Half", "tags": ["new"], **wrong})
    assert refusal.code == "VALIDATION_ERROR"
    assert await api.post(author, draft["id"]) == draft
    assert await count_rows(server.db, WRITTEN) == {"posts": 1, "tags": 0, "post_tags": 0, "events": 1}


async def test_of_several_mutations_a_failing_one_keeps_its_predecessors(graphql, server, author):
    """Each is its own transaction, in order; the answer says which failed."""
    response = await graphql.send(
        """mutation($good: CreatePostInput!, $bad: CreatePostInput!, $last: CreatePostInput!) {
            first: createPost(input: $good) { title }
            second: createPost(input: $bad) { title }
            third: createPost(input: $last) { title } }""",
        author,
        good={"title": "Good", "content": CONTENT},
        bad={"title": "Bad", "content": CONTENT, "categoryId": UNKNOWN_ID},
        last={"title": "Last", "content": CONTENT},
    )
    reply = response.json()
    assert reply["errors"][0]["path"] == ["second"]
    assert reply["errors"][0]["extensions"]["code"] == "VALIDATION_ERROR"
    assert reply["data"] is None
    written = await count_rows(server.db, [Post])
    assert written in ({"posts": 2}, {"posts": 1})
