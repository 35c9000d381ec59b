"""Writing posts: what is kept, what is changed, and by whom."""

from datetime import UTC, datetime
from unittest.mock import ANY

import pytest

from tests.support.callers import ErrorResponse
from tests.support.writing import CONTENT, UNKNOWN_ID, create_category

NOT_FOUND = ErrorResponse("NOT_FOUND", "Post not found")
SIGN_IN = ErrorResponse("UNAUTHORIZED", "Sign in first")


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def test_a_new_post_is_a_draft_of_its_author(api, author):
    """What was not said has its default."""
    before = datetime.now(UTC)
    post = await api.create(author, title="First words", content=CONTENT)
    assert post == {
        "id": ANY,
        "title": "First words",
        "slug": "first-words",
        "content": CONTENT,
        "excerpt": None,
        "status": "DRAFT",
        "publishedAt": None,
        "createdAt": ANY,
        "updatedAt": ANY,
        "version": 1,
        "author": author.author,
        "category": None,
        "tags": [],
        "commentCount": 0,
        "likeCount": 0,
        "viewerHasLiked": False,
        "uploads": [],
    }
    assert before <= moment(post["createdAt"]) <= moment(post["updatedAt"]) <= datetime.now(UTC)


async def test_a_post_keeps_all_that_was_written(api, server, author):
    """Surrounding spaces of the title are no part of it; tags come by name."""
    category = await create_category(server.db, "Essays")
    post = await api.create(
        author,
        title="  All of it  ",
        content="  Content keeps\nits spaces.  ",
        excerpt="In short.",
        categoryId=category["id"],
        tags=["Python", "C++", "C#"],
        status="PUBLISHED",
    )
    assert {name: post[name] for name in ("title", "content", "excerpt", "category", "status")} == {
        "title": "All of it",
        "content": "  Content keeps\nits spaces.  ",
        "excerpt": "In short.",
        "category": category,
        "status": "PUBLISHED",
    }
    assert [(tag["name"], tag["slug"]) for tag in post["tags"]] == [
        ("C#", "c-sharp"),
        ("C++", "c-plus-plus"),
        ("Python", "python"),
    ]
    assert post["publishedAt"] is not None


async def test_what_one_protocol_writes_the_other_reads_alike(api, graphql, rest, author):
    """The same post, field by field."""
    post = await api.create(author, title="Both ways", content=CONTENT, tags=["joint"], status="PUBLISHED")
    assert await graphql.post(None, post["id"]) == await rest.post(None, post["id"]) == post


async def test_an_update_changes_what_it_names_and_nothing_else(api, server, author):
    """Absent fields stay as they are."""
    category = await create_category(server.db, "Notes")
    before = await api.create(
        author, title="Before", content=CONTENT, excerpt="Kept", categoryId=category["id"], tags=["kept"]
    )
    after = await api.update(author, before["id"], title="After")
    assert after == {**before, "title": "After", "version": 2, "updatedAt": after["updatedAt"]}
    assert after["updatedAt"] > before["updatedAt"]


async def test_null_clears_what_may_be_empty(api, server, author):
    """An excerpt, a category and tags may go."""
    category = await create_category(server.db, "Gone")
    before = await api.create(
        author, title="Full", content=CONTENT, excerpt="In short", categoryId=category["id"], tags=["one", "two"]
    )
    after = await api.update(author, before["id"], excerpt=None, categoryId=None, tags=None)
    assert (after["excerpt"], after["category"], after["tags"]) == (None, None, [])


async def test_content_has_up_to_a_hundred_thousand_characters(api, author):
    """Whatever they take of a body; one more is refused, and nothing changes."""
    post = await api.create(author, title="Long", content="ß" * 100_000)
    assert post["content"] == "ß" * 100_000
    refusal = await api.update(author, post["id"], content="x" * 100_001)
    assert (refusal.code, list(refusal.details)) == ("VALIDATION_ERROR", ["content"])
    assert (await api.post(author, post["id"]))["version"] == post["version"]


@pytest.mark.parametrize("field", ["title", "content", "status"])
async def test_null_is_refused_where_something_must_be(api, author, draft, field):
    """A post always has a title, a content and a status."""
    refusal = await api.update(author, draft["id"], **{field: None})
    assert (refusal.code, list(refusal.details)) == ("VALIDATION_ERROR", [field])
    assert await api.post(author, draft["id"]) == draft


async def test_an_update_that_changes_nothing_is_no_new_version(api, author, draft):
    """The same words again are no edit."""
    assert await api.update(author, draft["id"], title=draft["title"], content=draft["content"]) == draft


async def test_replacing_resets_what_is_left_out(rest, server, author):
    """A PUT is the whole post."""
    category = await create_category(server.db, "Reset")
    before = await rest.create(
        author,
        title="Everything",
        content=CONTENT,
        excerpt="In short",
        categoryId=category["id"],
        tags=["one"],
        status="PUBLISHED",
    )
    after = await rest.replace(author, before["id"], title="Little", content="Only this is left.")
    assert after == {
        **before,
        "title": "Little",
        "content": "Only this is left.",
        "excerpt": None,
        "category": None,
        "tags": [],
        "status": "DRAFT",
        "version": 2,
        "updatedAt": ANY,
    }


async def test_tags_are_one_by_their_slug(api, author):
    """However it is spelled, a tag keeps the spelling of its first use, and no post has it twice."""
    first = await api.create(author, title="One", content=CONTENT, tags=["Machine Learning"])
    second = await api.create(author, title="Two", content=CONTENT, tags=["machine-learning", "MACHINE LEARNING"])
    assert second["tags"] == first["tags"]
    assert [tag["name"] for tag in first["tags"]] == ["Machine Learning"]


async def test_a_post_is_dated_when_it_is_first_published(api, author, draft):
    """Archiving and publishing again leave the date alone."""
    published = await api.publish(author, draft["id"])
    archived = await api.archive(author, draft["id"])
    again = await api.publish(author, draft["id"])
    assert [post["status"] for post in (published, archived, again)] == ["PUBLISHED", "ARCHIVED", "PUBLISHED"]
    assert [post["version"] for post in (published, archived, again)] == [2, 3, 4]
    assert published["publishedAt"] == archived["publishedAt"] == again["publishedAt"] is not None


async def test_publishing_what_is_published_changes_nothing(api, author, published):
    """One fact, one version."""
    assert await api.publish(author, published["id"]) == published


async def test_an_admin_may_edit_any_post(api, author, admin, draft):
    """Its author stays its author."""
    edited = await api.update(admin, draft["id"], title="Edited by an admin")
    assert (edited["title"], edited["author"]) == ("Edited by an admin", author.author)


@pytest.mark.parametrize("action", ["update", "publish", "archive", "delete"])
async def test_writing_requires_authentication(api, published, action):
    """Even to what everyone may read."""
    change = {"title": "Mine"} if action == "update" else {}
    assert await getattr(api, action)(None, published["id"], **change) == SIGN_IN


async def test_creating_requires_authentication(api):
    """Nobody in particular writes nothing."""
    assert await api.create(None, title="Whose?", content=CONTENT) == SIGN_IN


@pytest.mark.parametrize(
    ("action", "word"), [("update", "edit"), ("publish", "publish"), ("archive", "archive"), ("delete", "delete")]
)
async def test_a_stranger_may_not_change_what_they_may_see(graphql, stranger, author, published, action, word):
    """Seen, so it is 403; each action in its own words."""
    change = {"title": "Mine"} if action == "update" else {}
    refusal = await getattr(graphql, action)(stranger, published["id"], **change)
    assert refusal == ErrorResponse("FORBIDDEN", f"Only the author may {word} a post")
    assert await graphql.post(author, published["id"]) == published


@pytest.mark.parametrize(("action", "word"), [("update", "edit"), ("replace", "edit"), ("delete", "delete")])
async def test_a_stranger_is_forbidden_over_rest_in_the_same_words(rest, stranger, author, published, action, word):
    """Seen, so it is 403."""
    change = {} if action == "delete" else {"title": "Mine", "content": CONTENT}
    refusal = await getattr(rest, action)(stranger, published["id"], **change)
    assert refusal == ErrorResponse("FORBIDDEN", f"Only the author may {word} a post")
    assert await rest.post(author, published["id"]) == published


@pytest.mark.parametrize("action", ["update", "publish", "archive", "delete"])
async def test_a_write_to_what_one_may_not_see_finds_nothing(api, stranger, draft, action):
    """A stranger's draft is as good as none."""
    change = {"title": "Mine"} if action == "update" else {}
    assert await getattr(api, action)(stranger, draft["id"], **change) == NOT_FOUND
    assert await getattr(api, action)(stranger, UNKNOWN_ID, **change) == NOT_FOUND
    assert await getattr(api, action)(stranger, "no id at all", **change) == NOT_FOUND


async def test_a_deleted_post_is_gone_for_its_author_too(api, graphql, author, admin, published):
    """Deleting hides; only an admin sees it, and brings it back as it was."""
    assert await api.delete(author, published["id"]) == published["id"]
    assert await graphql.post(author, published["id"]) is None
    assert await api.update(author, published["id"], title="Still mine?") == NOT_FOUND
    assert await api.delete(author, published["id"]) == NOT_FOUND
    assert await graphql.restore(author, published["id"]) == NOT_FOUND
    restored = await graphql.restore(admin, published["id"])
    assert restored == {**published, "version": 3, "updatedAt": ANY}
    assert await graphql.post(author, published["id"]) == restored


async def test_only_an_admin_may_restore(graphql, author, admin, published):
    """To the author a post that is there says FORBIDDEN; an admin restoring it changes nothing."""
    refusal = await graphql.restore(author, published["id"])
    assert refusal == ErrorResponse("FORBIDDEN", "Only an admin may restore a post")
    assert await graphql.restore(admin, published["id"]) == published


async def test_rest_answers_a_new_post_with_its_address(rest, author):
    """201, `Location`, and the post itself."""
    created = await rest.send("POST", "/posts", author, json={"title": "Here", "content": CONTENT})
    post = created.json()["data"]
    assert (created.status_code, created.headers["Location"]) == (201, f"/api/posts/{post['id']}")
    assert await rest.post(author, post["id"]) == post


async def test_rest_answers_a_deletion_with_nothing(rest, author, published):
    """204, and no body."""
    response = await rest.send("DELETE", f"/posts/{published['id']}", author)
    assert (response.status_code, response.content) == (204, b"")
