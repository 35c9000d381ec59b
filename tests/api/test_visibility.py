"""Who sees which posts, on every path there is to a post."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.support.accounts import Account
from tests.support.callers import ErrorResponse, GraphQL, Rest
from tests.support.servers import Server
from tests.support.writing import CONTENT, create_category

STATES = ["draft", "published", "archived", "deleted"]

SEEN = {
    "anonymous": {"published"},
    "stranger": {"published"},
    "author": {"draft", "published", "archived"},
    "admin": {"draft", "published", "archived", "deleted"},
}
"""What each viewer may see by its id."""

LISTED = {**SEEN, "admin": {"draft", "published", "archived"}}
"""What lists show of it when asked for every status; what was deleted is listed only when asked for."""

World = dict[str, Any]


@pytest.fixture
async def world(anyio_backend: str, server: Server, author: Account) -> World:
    """One post in every state, in one category, under one tag, each with a comment."""
    graphql, category = GraphQL(server.anonymous), await create_category(server.db, "Everything")
    posts = {
        state: await graphql.create(
            author, title=state, content=CONTENT, categoryId=category["id"], tags=["all"], status="PUBLISHED"
        )
        for state in STATES
    }
    comments = {state: await graphql.comment(author, post["id"], f"On {state}") for state, post in posts.items()}
    await graphql.update(author, posts["draft"]["id"], status="DRAFT")
    await graphql.archive(author, posts["archived"]["id"])
    await graphql.delete(author, posts["deleted"]["id"])
    return {
        "posts": posts,
        "comments": comments,
        "category": category,
        "author": author,
        "tag": posts["draft"]["tags"][0],
    }


@pytest.fixture
def viewers(author: Account, stranger: Account, admin: Account) -> dict[str, Account | None]:
    return {"anonymous": None, "stranger": stranger, "author": author, "admin": admin}


Look = Callable[[Server, World, Account | None], Awaitable[set[str]]]


def by_each(document: str, key: Callable[[World, str], str]) -> Look:
    """Asks for each post by itself; what is null is not seen."""

    async def look(server: Server, world: World, viewer: Account | None) -> set[str]:
        graphql = GraphQL(server.anonymous)
        responses = {state: await graphql.one(document, viewer, key=key(world, state)) for state in STATES}
        return {state for state, response in responses.items() if response is not None}

    return look


def by_list(selection: str, owner: str | None = None) -> Look:
    """Asks for a list of every status, at the root or of an owner."""

    async def look(server: Server, world: World, viewer: Account | None) -> set[str]:
        graphql = GraphQL(server.anonymous)
        if owner is None:
            response = await graphql.one(f"{{ {selection} }}", viewer)
        else:
            id = world["author"].id if owner == "author" else world[owner]["id"]
            response = await graphql.one(f"query($id: ID!) {{ {selection} }}", viewer, id=id)
        found = response["posts"] if owner else response
        titles = [post["title"] for post in found.get("nodes", found.get("data"))]
        assert found.get("totalCount", found.get("total")) == len(titles) == len(set(titles))
        return set(titles)

    return look


async def over_rest(server: Server, world: World, viewer: Account | None) -> set[str]:
    rest = Rest(server.anonymous)
    responses = {state: await rest.post(viewer, post["id"]) for state, post in world["posts"].items()}
    missing = [response for response in responses.values() if isinstance(response, ErrorResponse)]
    assert set(missing) <= {ErrorResponse("NOT_FOUND", "Post not found")}
    return {state for state, response in responses.items() if not isinstance(response, ErrorResponse)}


async def over_rest_lists(server: Server, world: World, viewer: Account | None) -> set[str]:
    rest, seen = Rest(server.anonymous), set()
    for status in ("DRAFT", "PUBLISHED", "ARCHIVED"):
        response = await rest.page(viewer, status=status)
        titles = [post["title"] for post in response["data"]]
        assert response["pagination"] == {"page": 1, "limit": 20, "total": len(titles), "pages": min(1, len(titles))}
        seen |= set(titles)
    return seen


async def by_commenting(server: Server, world: World, viewer: Account | None) -> set[str]:
    """What one sees one may comment on; the answer's post is read as its own."""
    if viewer is None:
        return {"published"}
    graphql = GraphQL(server.anonymous)
    responses = {state: await graphql.comment(viewer, post["id"], "Seen") for state, post in world["posts"].items()}
    return {state for state, response in responses.items() if not isinstance(response, ErrorResponse)}


def post_id(world: World, state: str) -> str:
    return world["posts"][state]["id"]


ALL = "filter: {status: null}, first: 50"
BY_ID: dict[str, Look] = {
    "post(id)": by_each("query($key: ID) { post(id: $key) { title } }", post_id),
    "post(slug)": by_each("query($key: String) { post(slug: $key) { title } }", lambda world, state: state),
    "node(post)": by_each("query($key: ID!) { node(id: $key) { ... on Post { title } } }", post_id),
    "node(comment)": by_each(
        "query($key: ID!) { node(id: $key) { ... on Comment { content post { title } } } }",
        lambda world, state: world["comments"][state]["id"],
    ),
    "GET /api/posts/{id}": over_rest,
    "addComment": by_commenting,
}
BY_LIST: dict[str, Look] = {
    "posts": by_list(f"posts({ALL}) {{ nodes {{ title }} totalCount }}"),
    "postPage": by_list("postPage(limit: 50, filter: {status: null}) { data { title } total }"),
    "User.posts": by_list(f"user(id: $id) {{ posts({ALL}) {{ nodes {{ title }} totalCount }} }}", "author"),
    "Category.posts": by_list(
        f"node(id: $id) {{ ... on Category {{ posts({ALL}) {{ nodes {{ title }} totalCount }} }} }}", "category"
    ),
    "Tag.posts": by_list(
        f"node(id: $id) {{ ... on Tag {{ posts({ALL}) {{ nodes {{ title }} totalCount }} }} }}", "tag"
    ),
    "GET /api/posts": over_rest_lists,
}


@pytest.mark.parametrize("look", BY_ID.values(), ids=BY_ID)
async def test_a_post_is_visible_only_with_permission(server, world, viewers, look):
    """Published by everyone; drafts and archived ones by their author and admins; deleted ones by admins."""
    assert {name: await look(server, world, viewer) for name, viewer in viewers.items()} == SEEN


@pytest.mark.parametrize("look", BY_LIST.values(), ids=BY_LIST)
async def test_lists_and_counts_hold_what_their_viewer_may_see(server, world, viewers, look):
    """A count never tells of a post that the list does not show."""
    assert {name: await look(server, world, viewer) for name, viewer in viewers.items()} == LISTED


async def test_lists_show_published_posts_by_default(api, world, viewers):
    """To their author and to admins too."""
    for viewer in viewers.values():
        response = await api.page(viewer)
        assert ([post["title"] for post in response["data"]], response["pagination"]["total"]) == (["published"], 1)


async def test_only_admins_list_what_was_deleted(graphql, world, viewers):
    """To everyone else the wish alone is FORBIDDEN."""
    forbidden = ErrorResponse("FORBIDDEN", "Only an admin may list deleted posts")
    responses = {name: await graphql.posts(viewer, filter={"deleted": True}) for name, viewer in viewers.items()}
    assert responses == {
        "anonymous": forbidden,
        "stranger": forbidden,
        "author": forbidden,
        "admin": {"nodes": [{"title": "deleted"}]},
    }


async def test_an_email_address_is_seen_by_its_owner_and_by_admins(graphql, author, viewers):
    """On every path to a user it is null for others, without an error."""
    document = """query($id: ID!) { user(id: $id) { email name }
        node(id: $id) { ... on User { email } } }"""
    seen = {name: await graphql.ask(document, viewer, id=author.id) for name, viewer in viewers.items()}
    assert {name: (response["user"]["email"], response["node"]["email"]) for name, response in seen.items()} == {
        "anonymous": (None, None),
        "stranger": (None, None),
        "author": (author.email, author.email),
        "admin": (author.email, author.email),
    }


@pytest.mark.parametrize("id", ["rubbish", "", "01900000-0000-7000-8000-000000000000", "0", "%", "\u202e"])
async def test_an_id_that_nothing_has_is_null_without_an_error(graphql, id):
    """Missing, hidden and malformed ids read alike."""
    document = "query($id: ID!) { node(id: $id) { id } user(id: $id) { id } post(id: $id) { id } }"
    assert await graphql.ask(document, id=id) == {"node": None, "user": None, "post": None}


async def test_a_post_asked_for_by_nothing_is_null(graphql, published):
    """Neither an id nor a slug names no post."""
    assert await graphql.ask("{ post { id } }") == {"post": None}


async def test_a_draft_that_was_liked_when_public_does_not_leak_through_its_liker(graphql, author, stranger, published):
    """Hiding hides from everyone, whoever liked or commented before."""
    await graphql.like(stranger, published["id"])
    comment = await graphql.comment(stranger, published["id"], "I was here")
    await graphql.archive(author, published["id"])
    document = "query($post: ID!, $comment: ID!) { post(id: $post) { id } node(id: $comment) { id } }"
    assert await graphql.ask(document, stranger, post=published["id"], comment=comment["id"]) == {
        "post": None,
        "node": None,
    }
    assert await graphql.unlike(stranger, published["id"]) == ErrorResponse("NOT_FOUND", "Post not found")
