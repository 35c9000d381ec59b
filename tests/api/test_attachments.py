"""Attaching uploads to posts."""

from unittest.mock import ANY
from uuid import UUID

import pytest

from models import PostUpload, Upload
from tests.support.callers import ErrorResponse
from tests.support.uploads import make_image, upload_file
from tests.support.writing import CONTENT, UNKNOWN_ID, count_rows, get_event_types

UNKNOWN = ErrorResponse(
    "VALIDATION_ERROR",
    "uploadIds: You have no upload with this id",
    {"uploadIds": ["You have no upload with this id"]},
)
SIGN_IN = ErrorResponse("UNAUTHORIZED", "Sign in first")
MINE = "{ uploads { totalCount nodes { id url filename contentType size sha256 createdAt } } }"


@pytest.fixture
async def files(server, author) -> list[str]:
    """Upload three files as the author, and return their ids."""
    return [(await upload_file(server.anonymous, author, make_image(size=(20, 10 + n))))["id"] for n in range(3)]


async def attached_ids(api, viewer, post) -> list[str]:
    return [upload["id"] for upload in (await api.post(viewer, post["id"]))["uploads"]]


async def test_a_post_returns_its_uploads_in_the_order_of_upload_ids(server, api, author, files):
    """Everyone who can see the post can see them. A repeated id counts once."""
    wanted = [files[2], files[0], files[2]]
    post = await api.create(author, title="With pictures", content=CONTENT, status="PUBLISHED", uploadIds=wanted)
    assert [upload["id"] for upload in post["uploads"]] == [files[2], files[0]]
    seen = await api.post(None, post["id"])
    assert seen["uploads"] == post["uploads"]
    assert seen["uploads"][0] == {
        "id": files[2],
        "url": ANY,
        "filename": "a.png",
        "contentType": "image/png",
        "size": len(make_image(size=(20, 12))),
        "sha256": ANY,
        "createdAt": ANY,
    }
    assert (await server.anonymous.get(seen["uploads"][0]["url"])).content == make_image(size=(20, 12))


async def test_changing_the_uploads_is_an_edit_of_the_post(server, api, author, files):
    """It bumps the version and records an event, unless nothing changed. Null and an empty list remove all uploads."""
    post = await api.create(author, title="With pictures", content=CONTENT, uploadIds=files[:2])
    versions = []
    for ids in (files[:2], files[1::-1], files, None, [files[0]], []):
        versions.append((await api.update(author, post["id"], uploadIds=ids))["version"])
        assert await attached_ids(api, author, post) == (ids or [])
    assert versions == [1, 2, 3, 4, 5, 6]
    assert await get_event_types(server.db) == ["post.created", *["post.updated"] * 5]
    await api.update(author, post["id"], title="Another title", uploadIds=[files[0]])
    await api.update(author, post["id"], excerpt="Short")
    assert await attached_ids(api, author, post) == [files[0]]


async def test_a_put_without_upload_ids_removes_the_uploads(server, rest, author, files):
    post = await rest.create(author, title="With pictures", content=CONTENT, uploadIds=files)
    assert (await rest.replace(author, post["id"], title="Another title", content=CONTENT))["uploads"] == []


async def test_users_can_attach_only_their_own_uploads(server, api, author, stranger, files):
    """An upload of another user is rejected like an unknown id, and nothing changes."""
    post = await api.create(stranger, title="Theirs", content=CONTENT)
    theirs = (await upload_file(server.anonymous, stranger, make_image()))["id"]
    for ids in ([files[0]], [theirs, files[0]], [UNKNOWN_ID], ["not an id"], [theirs, post["id"]]):
        assert await api.update(stranger, post["id"], uploadIds=ids) == UNKNOWN
        assert await api.create(stranger, title="Another", content=CONTENT, uploadIds=ids) == UNKNOWN
    assert await attached_ids(api, stranger, post) == []
    assert await count_rows(server.db, [PostUpload]) == {"post_uploads": 0}


async def test_admins_can_attach_any_upload_and_the_author_can_keep_it(server, api, author, stranger, admin, files):
    """An upload that is attached already is accepted from everyone who may edit the post."""
    theirs = (await upload_file(server.anonymous, stranger, make_image()))["id"]
    post = await api.create(author, title="With pictures", content=CONTENT, uploadIds=files[:1])
    await api.update(admin, post["id"], uploadIds=[theirs, files[0]])
    await api.update(author, post["id"], uploadIds=[files[1], theirs])
    assert await attached_ids(api, author, post) == [files[1], theirs]
    await api.update(author, post["id"], uploadIds=[])
    assert await api.update(author, post["id"], uploadIds=[theirs]) == UNKNOWN


async def test_a_post_has_at_most_twenty_uploads(api, author, files):
    rejected = await api.create(author, title="Many", content=CONTENT, uploadIds=[UNKNOWN_ID] * 21)
    assert (rejected.code, list(rejected.details)) == ("VALIDATION_ERROR", ["uploadIds"])


async def test_an_upload_can_be_attached_to_several_posts(server, api, author, files):
    posts = [await api.create(author, title="A title", content=CONTENT, uploadIds=[files[0]]) for _ in range(2)]
    await api.update(author, posts[0]["id"], uploadIds=[])
    assert await attached_ids(api, author, posts[1]) == [files[0]]


async def test_the_uploads_query_lists_only_the_viewers_uploads(server, graphql, author, stranger, admin, files):
    """Newest first. Anonymous callers are rejected, and admins see only their own."""
    nodes = (await graphql.one(MINE, author))["nodes"]
    assert [upload["id"] for upload in nodes] == files[::-1]
    assert await graphql.one(MINE, stranger) == {"totalCount": 0, "nodes": []}
    assert await graphql.one(MINE, admin) == {"totalCount": 0, "nodes": []}
    assert await graphql.one(MINE) == SIGN_IN
    info = "pageInfo { hasNextPage endCursor }"
    page = f"query($after: String) {{ uploads(first: 2, after: $after) {{ nodes {{ id }} {info} }} }}"
    first = await graphql.one(page, author)
    rest = await graphql.one(page, author, after=first["pageInfo"]["endCursor"])
    assert [row["id"] for row in (*first["nodes"], *rest["nodes"])] == files[::-1]
    assert (first["pageInfo"]["hasNextPage"], rest["pageInfo"]["hasNextPage"]) == (True, False)


async def test_an_upload_is_visible_with_a_post_that_has_it(server, graphql, author, stranger, admin, files):
    """Its owner and admins always see it by its id, others only if it is attached to a published post."""
    document = "query($id: ID!) { node(id: $id) { __typename id ... on Upload { url } } }"

    async def seen() -> list[bool]:
        viewers = (author, admin, stranger, None)
        return [await graphql.one(document, viewer, id=files[0]) is not None for viewer in viewers]

    assert await seen() == [True, True, False, False]
    post = await graphql.create(author, title="A draft", content=CONTENT, uploadIds=[files[0]])
    assert await seen() == [True, True, False, False]
    await graphql.publish(author, post["id"])
    assert await seen() == [True, True, True, True]
    await graphql.delete(author, post["id"])
    assert await seen() == [True, True, False, False]


async def test_a_restored_post_has_its_uploads_again(server, graphql, author, admin, files):
    post = await graphql.create(author, title="Kept", content=CONTENT, status="PUBLISHED", uploadIds=files)
    await graphql.delete(author, post["id"])
    assert await attached_ids(graphql, admin, await graphql.restore(admin, post["id"])) == files


async def test_detaching_an_upload_restarts_its_grace_period(server, graphql, author, files):
    """The cleanup deletes uploads that have not been attached for a day."""
    post = await graphql.create(author, title="A title", content=CONTENT, uploadIds=files[:2])

    async def since() -> list:
        async with server.db.reading() as session:
            return [(await session.get_one(Upload, UUID(id))).unattached_since for id in files]

    before = await since()
    await graphql.update(author, post["id"], uploadIds=[files[1]])
    after = await since()
    assert [old < new for old, new in zip(before, after, strict=True)] == [True, False, False]
