"""Stale writes are refused, and what has not changed is not sent again."""

import asyncio

import pytest

from tests.support.callers import ErrorResponse
from tests.support.writing import CONTENT


def stale(version: int) -> ErrorResponse:
    return ErrorResponse("PRECONDITION_FAILED", f"The post has changed since version {version}")


async def test_a_write_to_a_version_that_is_gone_is_refused(api, author, draft):
    """Somebody else's edit is not overwritten unseen."""
    edited = await api.update(author, draft["id"], version=1, title="First edit")
    assert edited["version"] == 2
    assert await api.update(author, draft["id"], version=1, title="Second edit") == stale(1)
    assert await api.post(author, draft["id"]) == edited


async def test_of_two_edits_of_one_version_one_is_refused(api, author, draft):
    """At the same moment, too."""
    edits = [api.update(author, draft["id"], version=1, title=f"Edit {number}") for number in range(5)]
    responses = await asyncio.gather(*edits)
    assert sorted(isinstance(response, ErrorResponse) for response in responses) == [False, True, True, True, True]
    assert {response for response in responses if isinstance(response, ErrorResponse)} == {stale(1)}
    assert (await api.post(author, draft["id"]))["version"] == 2


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_if_match_refuses_a_stale_write(rest, author, draft, method):
    """412, in every method that writes."""
    await rest.update(author, draft["id"], title="Meanwhile")
    body = {} if method == "DELETE" else {"json": {"title": "Stale", "content": CONTENT}}
    response = await rest.send(method, f"/posts/{draft['id']}", author, headers={"If-Match": '"1.abc"'}, **body)
    assert (response.status_code, response.json()["code"]) == (412, "PRECONDITION_FAILED")
    assert response.json()["error"] == stale(1).message


async def etag(rest, viewer, id: str) -> str:
    return (await rest.send("GET", f"/posts/{id}", viewer)).headers["ETag"]


async def test_if_match_takes_the_etag_that_was_read(rest, author, draft):
    """The tag of a GET allows one write."""
    tag = await etag(rest, author, draft["id"])
    assert tag.startswith('"1.')
    path = f"/posts/{draft['id']}"
    first = await rest.send("PATCH", path, author, json={"title": "Once"}, headers={"If-Match": tag})
    second = await rest.send("PATCH", path, author, json={"title": "Twice"}, headers={"If-Match": tag})
    assert (first.status_code, second.status_code) == (200, 412)
    assert first.headers["ETag"] == await etag(rest, author, draft["id"])


@pytest.mark.parametrize("condition", ["*", '"0.x", "1.y"', '"1.x"', 'W/"1.x"'])
async def test_if_match_allows_any_version_and_one_of_several(rest, author, draft, condition):
    """A tag that a proxy weakened as it compressed names the version as well as before."""
    response = await rest.send(
        "PATCH", f"/posts/{draft['id']}", author, json={"title": "New"}, headers={"If-Match": condition}
    )
    assert response.status_code == 200


@pytest.mark.parametrize("condition", ['"rubbish"', "1", '""', '"9.x"', '"99999999999999999999.x"'])
async def test_if_match_that_names_no_present_version_is_refused(rest, author, draft, condition):
    """What is no tag of ours matches nothing."""
    response = await rest.send(
        "PATCH", f"/posts/{draft['id']}", author, json={"title": "New"}, headers={"If-Match": condition}
    )
    assert (response.status_code, response.json()["code"]) in [(412, "PRECONDITION_FAILED"), (400, "VALIDATION_ERROR")]
    assert await rest.post(author, draft["id"]) == draft


async def test_a_strangers_like_does_not_spoil_an_authors_edit(rest, graphql, author, stranger, published):
    """The ETag changes with what a reader sees, the version only with what an author wrote."""
    before = await etag(rest, author, published["id"])
    await graphql.like(stranger, published["id"])
    await graphql.comment(stranger, published["id"], "Well said")
    assert await etag(rest, author, published["id"]) != before
    path = f"/posts/{published['id']}"
    response = await rest.send("PATCH", path, author, json={"title": "Edited"}, headers={"If-Match": before})
    assert (response.status_code, response.json()["data"]["version"]) == (200, 2)


async def test_what_has_not_changed_is_not_sent_again(rest, graphql, stranger, published):
    """304 while it is the same, 200 once a like has changed it."""
    path, tag = f"/posts/{published['id']}", await etag(rest, None, published["id"])
    same = await rest.send("GET", path, headers={"If-None-Match": tag})
    assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", tag)
    several = await rest.send("GET", path, headers={"If-None-Match": f'"other", W/{tag}'})
    assert several.status_code == 304
    await graphql.like(stranger, published["id"])
    assert (await rest.send("GET", path, headers={"If-None-Match": tag})).status_code == 200


async def test_what_a_viewer_sees_is_not_taken_for_what_another_sees(rest, graphql, stranger, published):
    """Who liked a post has another answer than who did not."""
    await graphql.like(stranger, published["id"])
    theirs, nobodys = await etag(rest, stranger, published["id"]), await etag(rest, None, published["id"])
    assert theirs != nobodys
    response = await rest.send("GET", f"/posts/{published['id']}", stranger, headers={"If-None-Match": nobodys})
    assert response.status_code == 200
