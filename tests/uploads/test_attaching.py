"""Uploads of a post: given by their ids, in an order, and only one's own."""

from unittest.mock import ANY
from uuid import UUID

import pytest

from models import PostUpload, Upload
from tests.support.callers import Refusal
from tests.support.writing import CONTENT, NOBODY, facts, sizes
from tests.uploads.files import picture, sent

UNKNOWN = Refusal(
    "VALIDATION_ERROR",
    "uploadIds: You have no upload with this id",
    {"uploadIds": ["You have no upload with this id"]},
)
SIGN_IN = Refusal("UNAUTHORIZED", "Sign in first")
MINE = "{ uploads { totalCount nodes { id url filename contentType size sha256 createdAt } } }"


@pytest.fixture
async def files(server, author) -> list[str]:
    """Three uploads of the author's."""
    return [(await sent(server.anonymous, author, picture(size=(20, 10 + n))))["id"] for n in range(3)]


async def attached(api, viewer, post) -> list[str]:
    return [upload["id"] for upload in (await api.post(viewer, post["id"]))["uploads"]]


async def test_a_post_shows_its_uploads_in_the_order_given(server, api, author, files):
    """To whoever sees the post; however often one was named."""
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
        "size": len(picture(size=(20, 12))),
        "sha256": ANY,
        "createdAt": ANY,
    }
    assert (await server.anonymous.get(seen["uploads"][0]["url"])).content == picture(size=(20, 12))


async def test_a_change_is_an_edit_of_the_post(server, api, author, files):
    """Another version and an event; the same again is no change. Null and none at all clear."""
    post = await api.create(author, title="With pictures", content=CONTENT, uploadIds=files[:2])
    versions = []
    for given in (files[:2], files[1::-1], files, None, [files[0]], []):
        versions.append((await api.update(author, post["id"], uploadIds=given))["version"])
        assert await attached(api, author, post) == (given or [])
    assert versions == [1, 2, 3, 4, 5, 6]
    assert await facts(server.db) == ["post.created", *["post.updated"] * 5]
    await api.update(author, post["id"], title="Another title", uploadIds=[files[0]])
    await api.update(author, post["id"], excerpt="Short")
    assert await attached(api, author, post) == [files[0]]


async def test_a_put_resets_them(server, rest, author, files):
    post = await rest.create(author, title="With pictures", content=CONTENT, uploadIds=files)
    assert (await rest.replace(author, post["id"], title="Anew", content=CONTENT))["uploads"] == []


async def test_only_ones_own_may_be_attached(server, api, author, stranger, files):
    """What is somebody else's is as unknown as what is not there, and nothing is changed."""
    post = await api.create(stranger, title="Theirs", content=CONTENT)
    theirs = (await sent(server.anonymous, stranger, picture()))["id"]
    for given in ([files[0]], [theirs, files[0]], [NOBODY], ["not an id"], [theirs, post["id"]]):
        assert await api.update(stranger, post["id"], uploadIds=given) == UNKNOWN
        assert await api.create(stranger, title="Another", content=CONTENT, uploadIds=given) == UNKNOWN
    assert await attached(api, stranger, post) == []
    assert await sizes(server.db, [PostUpload]) == {"post_uploads": 0}


async def test_an_admin_may_attach_any_and_its_author_may_keep_it(server, api, author, stranger, admin, files):
    """What stands there already is not refused to who edits the rest."""
    theirs = (await sent(server.anonymous, stranger, picture()))["id"]
    post = await api.create(author, title="With pictures", content=CONTENT, uploadIds=files[:1])
    await api.update(admin, post["id"], uploadIds=[theirs, files[0]])
    await api.update(author, post["id"], uploadIds=[files[1], theirs])
    assert await attached(api, author, post) == [files[1], theirs]
    await api.update(author, post["id"], uploadIds=[])
    assert await api.update(author, post["id"], uploadIds=[theirs]) == UNKNOWN


async def test_at_most_twenty(api, author, files):
    refused = await api.create(author, title="Many", content=CONTENT, uploadIds=[NOBODY] * 21)
    assert (refused.code, list(refused.details)) == ("VALIDATION_ERROR", ["uploadIds"])


async def test_one_upload_in_two_posts(server, api, author, files):
    posts = [await api.create(author, title="A title", content=CONTENT, uploadIds=[files[0]]) for _ in range(2)]
    await api.update(author, posts[0]["id"], uploadIds=[])
    assert await attached(api, author, posts[1]) == [files[0]]


async def test_ones_uploads_are_ones_own_to_list(server, graphql, author, stranger, admin, files):
    """Latest first; strangers are refused, admins see their own."""
    told = (await graphql.one(MINE, author))["nodes"]
    assert [upload["id"] for upload in told] == files[::-1]
    assert await graphql.one(MINE, stranger) == {"totalCount": 0, "nodes": []}
    assert await graphql.one(MINE, admin) == {"totalCount": 0, "nodes": []}
    assert await graphql.one(MINE) == SIGN_IN
    info = "pageInfo { hasNextPage endCursor }"
    page = f"query($after: String) {{ uploads(first: 2, after: $after) {{ nodes {{ id }} {info} }} }}"
    first = await graphql.one(page, author)
    rest = await graphql.one(page, author, after=first["pageInfo"]["endCursor"])
    assert [row["id"] for row in (*first["nodes"], *rest["nodes"])] == files[::-1]
    assert (first["pageInfo"]["hasNextPage"], rest["pageInfo"]["hasNextPage"]) == (True, False)


async def test_an_upload_is_seen_by_who_sees_a_post_of_it(server, graphql, author, stranger, admin, files):
    """By its id: its owner and admins always, others with a published post."""
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


async def test_a_deleted_post_keeps_its_uploads_for_when_it_is_restored(server, graphql, author, admin, files):
    post = await graphql.create(author, title="Kept", content=CONTENT, status="PUBLISHED", uploadIds=files)
    await graphql.delete(author, post["id"])
    assert await attached(graphql, admin, await graphql.restore(admin, post["id"])) == files


async def test_letting_go_of_an_upload_starts_its_day(server, graphql, author, files):
    """Those that no post points at are removed a day later."""
    post = await graphql.create(author, title="A title", content=CONTENT, uploadIds=files[:2])

    async def since() -> list:
        async with server.db.reading() as session:
            return [(await session.get_one(Upload, UUID(id))).loose_since for id in files]

    before = await since()
    await graphql.update(author, post["id"], uploadIds=[files[1]])
    after = await since()
    assert [old < new for old, new in zip(before, after, strict=True)] == [True, False, False]
