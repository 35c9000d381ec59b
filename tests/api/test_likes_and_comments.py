"""Likes and comments, and the counts that are kept of them."""

import asyncio

import pytest

from models import Comment, Like
from tests.support.callers import ErrorResponse
from tests.support.writing import CONTENT, UNKNOWN_ID, count_rows, get_event_types

NOT_FOUND = ErrorResponse("NOT_FOUND", "Post not found")
SIGN_IN = ErrorResponse("UNAUTHORIZED", "Sign in first")


async def test_liking_twice_is_one_like(graphql, server, stranger, published):
    """And unliking twice takes back one."""
    once, twice = [await graphql.like(stranger, published["id"]) for _ in range(2)]
    assert once == twice == {**published, "likeCount": 1, "viewerHasLiked": True}
    assert [await graphql.unlike(stranger, published["id"]) for _ in range(2)] == [published, published]
    assert (await get_event_types(server.db))[2:] == ["post.liked", "post.unliked"]


async def test_counts_are_true_after_much_at_once(graphql, server, published):
    """Ten people like and comment together, twice each."""
    people = await asyncio.gather(*(server.account(f"Person {number}") for number in range(10)))
    await asyncio.gather(
        *(graphql.like(person, published["id"]) for person in people * 2),
        *(graphql.comment(person, published["id"], "Me too") for person in people * 2),
    )
    await asyncio.gather(*(graphql.unlike(person, published["id"]) for person in people[:3] * 2))
    post = await graphql.post(None, published["id"])
    assert (post["likeCount"], post["commentCount"]) == (7, 20)
    assert await count_rows(server.db, [Like, Comment]) == {"likes": 7, "comments": 20}


@pytest.mark.parametrize("action", ["like", "unlike"])
async def test_liking_requires_a_viewer_with_access_to_the_post(graphql, stranger, draft, action):
    """A draft of somebody else is not there to be liked."""
    assert await getattr(graphql, action)(None, draft["id"]) == SIGN_IN
    assert await getattr(graphql, action)(stranger, draft["id"]) == NOT_FOUND
    assert await getattr(graphql, action)(stranger, UNKNOWN_ID) == NOT_FOUND
    assert await getattr(graphql, action)(stranger, "rubbish") == NOT_FOUND


async def test_a_comment_is_added_to_its_post(graphql, stranger, published):
    """With its author, and the post that now counts it; spaces around it are no part of it."""
    comment = await graphql.comment(stranger, published["id"], "  Well said  ")
    assert comment == {
        "id": comment["id"],
        "content": "Well said",
        "author": stranger.author,
        "post": {"id": published["id"], "commentCount": 1},
    }


async def test_comments_come_oldest_first(graphql, stranger, author, published):
    """Whoever wrote them."""
    for number, person in enumerate([stranger, author, stranger]):
        await graphql.comment(person, published["id"], f"Number {number}")
    document = "query($id: ID!) { post(id: $id) { comments { nodes { content } totalCount } } }"
    assert await graphql.one(document, id=published["id"]) == {
        "comments": {"nodes": [{"content": f"Number {number}"} for number in range(3)], "totalCount": 3}
    }


async def test_commenting_requires_a_viewer_with_access_to_the_post(graphql, stranger, draft):
    """As liking does."""
    assert await graphql.comment(None, draft["id"], "Hello") == SIGN_IN
    assert await graphql.comment(stranger, draft["id"], "Hello") == NOT_FOUND
    assert await graphql.comment(stranger, "rubbish", "Hello") == NOT_FOUND


@pytest.mark.parametrize("content", ["", "   ", "x" * 2001])
async def test_a_comment_has_1_to_2000_characters(graphql, server, stranger, published, content):
    """What is refused is not counted."""
    refusal = await graphql.comment(stranger, published["id"], content)
    assert (refusal.code, list(refusal.details)) == ("VALIDATION_ERROR", ["content"])
    assert (await graphql.post(None, published["id"]))["commentCount"] == 0
    assert await count_rows(server.db, [Comment]) == {"comments": 0}


async def test_the_longest_comment_is_kept_whole(graphql, stranger, published):
    """Characters, not bytes."""
    comment = await graphql.comment(stranger, published["id"], "ß" * 2000)
    assert comment["content"] == "ß" * 2000


async def test_a_comment_is_deleted_by_its_author_the_posts_author_or_an_admin(
    graphql, server, author, stranger, admin, published
):
    """And by nobody else."""
    for who in (stranger, author, admin):
        comment = await graphql.comment(stranger, published["id"], "Soon gone")
        assert await graphql.uncomment(who, comment["id"]) == comment["id"]
    other, comment = await server.account("Other"), await graphql.comment(stranger, published["id"], "Here to stay")
    assert await graphql.uncomment(other, comment["id"]) == ErrorResponse(
        "FORBIDDEN", "Only its author or the post's author may delete a comment"
    )
    assert await graphql.uncomment(None, comment["id"]) == SIGN_IN
    assert (await graphql.post(None, published["id"]))["commentCount"] == 1


async def test_a_comment_that_is_not_there_is_not_found(graphql, author, stranger, published):
    """Nor is one that has gone, nor one on a post that is hidden."""
    not_found = ErrorResponse("NOT_FOUND", "Comment not found")
    comment = await graphql.comment(stranger, published["id"], "Now you see me")
    assert await graphql.uncomment(author, "rubbish") == not_found
    assert await graphql.uncomment(author, UNKNOWN_ID) == not_found
    await graphql.archive(author, published["id"])
    assert await graphql.uncomment(stranger, comment["id"]) == not_found
    assert await graphql.uncomment(author, comment["id"]) == comment["id"]
    assert await graphql.uncomment(author, comment["id"]) == not_found


async def test_a_comment_deleted_twice_at_once_is_counted_once(graphql, server, author, stranger, published):
    """The count never goes below what is there."""
    comment = await graphql.comment(stranger, published["id"], "Once")
    await asyncio.gather(*(graphql.uncomment(who, comment["id"]) for who in [author, stranger] * 3))
    assert (await graphql.post(None, published["id"]))["commentCount"] == 0
    assert (await get_event_types(server.db)).count("comment.deleted") == 1


async def test_comments_page_forward(graphql, author, published):
    """Each page begins where the last ended."""
    for number in range(5):
        await graphql.comment(author, published["id"], f"Number {number}")
    document = """query($id: ID!, $after: String) { post(id: $id) {
        comments(first: 2, after: $after) { nodes { content } pageInfo { hasNextPage endCursor } } } }"""
    seen, after = [], None
    while True:
        page = (await graphql.one(document, id=published["id"], after=after))["comments"]
        seen.append([comment["content"] for comment in page["nodes"]])
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    assert seen == [["Number 0", "Number 1"], ["Number 2", "Number 3"], ["Number 4"]]


async def test_a_new_post_has_none_of_either(graphql, author):
    """Counts begin at nothing."""
    post = await graphql.create(author, title="Quiet", content=CONTENT)
    assert (post["likeCount"], post["commentCount"], post["viewerHasLiked"]) == (0, 0, False)
