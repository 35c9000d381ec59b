"""The requests that are measured, the same ones for every server."""

from collections.abc import Callable
from itertools import count
from random import Random
from typing import Any

import orjson

from tests.benchmarks.servers import Server
from tests.benchmarks.wire import Request

MOST_PAGES = 50
VARIETY = 500
"""Requests of a kind, sent round and round."""

LIST = """query L($page: Int) { postPage(page: $page, limit: 20) { total data {
  id title slug excerpt publishedAt author { id name image } commentCount likeCount } } }"""
DETAIL = """query D($id: ID!) { post(id: $id) { id title slug content excerpt status publishedAt
  author { id name image } category { id name slug } tags { id name slug } commentCount likeCount
  comments(first: 10) { nodes { id content createdAt author { id name image } } } } }"""
TYPENAME = "{ __typename }"
LIKED = LIST.replace("likeCount", "likeCount viewerHasLiked")
CREATE = "mutation C($input: CreatePostInput!) { createPost(input: $input) { id title slug status version createdAt } }"

# PostGraphile makes its schema from the tables; aliases make its answers look like the others'.
AUTHOR = "author: userByAuthorId { id: rowId name image }"
SHOWN = 'condition: { status: "PUBLISHED", deletedAt: null }, orderBy: [CREATED_AT_DESC, ROW_ID_DESC]'
POSTGRAPHILE = {
    LIST: f"""query L($offset: Int) {{ postPage: allPosts(first: 20, offset: $offset, {SHOWN}) {{ total: totalCount
      data: nodes {{ id: rowId title slug excerpt publishedAt {AUTHOR} commentCount likeCount }} }} }}""",
    DETAIL: f"""query D($id: UUID!) {{ post: postByRowId(rowId: $id) {{ id: rowId title slug content excerpt status
      publishedAt {AUTHOR} category: categoryByCategoryId {{ id: rowId name slug }}
      tags: postTagsByPostId {{ nodes {{ tag: tagByTagId {{ id: rowId name slug }} }} }} commentCount likeCount
      comments: commentsByPostId(first: 10, orderBy: [CREATED_AT_ASC, ROW_ID_ASC]) {{
        nodes {{ id: rowId content createdAt {AUTHOR} }} }} }} }}""",
    TYPENAME: TYPENAME,
}


Requests = Callable[[Server, list[str]], list[Request]]


def graphql(server: Server, document: str, variables: dict[str, Any], *headers: tuple[str, str]) -> Request:
    if server.contender.speaks == "postgraphile":
        document = POSTGRAPHILE[document]
        variables = {"offset": (variables["page"] - 1) * 20} if "page" in variables else variables
    return Request("/graphql", orjson.dumps({"query": document, "variables": variables}), headers)


def pages() -> list[int]:
    chance = Random(1)
    return [chance.randint(1, MOST_PAGES) for _ in range(VARIETY)]


def chosen(posts: list[str]) -> list[str]:
    chance = Random(2)
    return [chance.choice(posts) for _ in range(VARIETY)]


def lists(server: Server, posts: list[str]) -> list[Request]:
    return [graphql(server, LIST, {"page": page}) for page in pages()]


def details(server: Server, posts: list[str]) -> list[Request]:
    return [graphql(server, DETAIL, {"id": id}) for id in chosen(posts)]


def typename(server: Server, posts: list[str]) -> list[Request]:
    return [graphql(server, TYPENAME, {})]


def liked(server: Server, posts: list[str]) -> list[Request]:
    token = server.signed_in()
    return [graphql(server, LIKED, {"page": page}, token) for page in pages()]


def rest_lists(server: Server, posts: list[str]) -> list[Request]:
    return [Request(f"/api/posts?page={page}&limit=20") for page in pages()]


def rest_details(server: Server, posts: list[str]) -> list[Request]:
    return [Request(f"/api/posts/{id}") for id in chosen(posts)]


def unchanged(server: Server, posts: list[str]) -> list[Request]:
    """One post, by clients who have it already."""
    paths = [f"/api/posts/{id}" for id in chosen(posts)[:100]]
    return [Request(path, headers=(("If-None-Match", server.ask(Request(path)).headers["etag"]),)) for path in paths]


TITLES = count(1)


def creations(server: Server, posts: list[str]) -> list[Request]:
    """Drafts, so that lists stay as they are; titles that nobody has had, so that each slug is free at once."""
    texts = [
        {"title": f"Draft {next(TITLES)}", "content": "A content of some length. " * 10} for _ in range(MOST_CREATIONS)
    ]
    token = server.signed_in()
    if server.contender.speaks == "rest":
        return [Request("/api/posts", orjson.dumps(text), (token,)) for text in texts]
    return [graphql(server, CREATE, {"input": text}, token) for text in texts]


MOST_CREATIONS = 20_000

WORKLOADS: dict[str, tuple[str, Requests]] = {
    "L": ("a list of 20 posts, with authors and the total", lists),
    "D": ("one post, with tags and 10 comments", details),
    "T": ("`{ __typename }`", typename),
    "L, signed in": ("the list with `viewerHasLiked`", liked),
    "GET list": ("`GET /api/posts`", rest_lists),
    "GET post": ("`GET /api/posts/{id}`", rest_details),
    "304": ("the same with a current `If-None-Match`", unchanged),
    "createPost": ("a transaction, its event, and the answer", creations),
}
