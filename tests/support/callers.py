"""The same actions over GraphQL and over REST, with the same answers: what is there, or a `ErrorResponse`."""

from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx

from tests.support.accounts import Account, bearer

POST = """
    id title slug content excerpt status publishedAt createdAt updatedAt version
    author { id name image } category { id name slug } tags { id name slug }
    commentCount likeCount viewerHasLiked
    uploads { id url filename contentType size sha256 createdAt }
"""
"""What REST says of one post."""

ITEM = "id title slug excerpt status publishedAt author { id name image } commentCount likeCount"
"""What REST says of a post in a list."""

USER = "id name image createdAt email role"
AUTH = f"accessToken refreshToken expiresIn user {{ {USER} }}"


@dataclass(frozen=True)
class ErrorResponse:
    """A request that was refused, in the words both protocols use."""

    code: str
    message: str
    details: Any = None


@dataclass(frozen=True)
class ParsedResponse:
    """One HTTP answer, read: its status, headers and JSON, if it had any."""

    status: int
    headers: httpx.Headers = field(compare=False)
    json: Any = None


class Caller(Protocol):
    """What one can do over either protocol. `viewer` is who asks; None is nobody in particular."""

    name: str

    async def register(self, **input: Any) -> Any: ...
    async def login(self, **input: Any) -> Any: ...
    async def me(self, viewer: Account | None) -> Any: ...
    async def create(self, viewer: Account | None, **input: Any) -> Any: ...
    async def update(self, viewer: Account | None, id: str, *, version: int | None = None, **input: Any) -> Any: ...
    async def publish(self, viewer: Account | None, id: str) -> Any: ...
    async def archive(self, viewer: Account | None, id: str) -> Any: ...
    async def delete(self, viewer: Account | None, id: str) -> Any: ...
    async def post(self, viewer: Account | None, id: str) -> Any: ...
    async def page(self, viewer: Account | None, *, page: int = 1, limit: int = 20, **filter: Any) -> Any: ...


class GraphQL:
    """A client of `/graphql`."""

    name = "graphql"

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def send(self, query: str, viewer: Account | None = None, /, **variables: Any) -> httpx.Response:
        body = {"query": query, "variables": variables}
        return await self.http.post("/graphql", json=body, headers=bearer(viewer))

    async def ask(self, query: str, viewer: Account | None = None, /, **variables: Any) -> Any:
        """The document's `data`, or its first error as a `ErrorResponse`."""
        return graphql_result(await self.send(query, viewer, **variables))

    async def one(self, query: str, viewer: Account | None = None, /, **variables: Any) -> Any:
        """The value of a document's only root field."""
        data = await self.ask(query, viewer, **variables)
        return data if isinstance(data, ErrorResponse) else next(iter(data.values()))

    async def register(self, **input: Any) -> Any:
        return await self.one(
            f"mutation($input: RegisterInput!) {{ register(input: $input) {{ {AUTH} }} }}", input=input
        )

    async def login(self, **input: Any) -> Any:
        return await self.one(f"mutation($input: LoginInput!) {{ login(input: $input) {{ {AUTH} }} }}", input=input)

    async def me(self, viewer: Account | None) -> Any:
        """The viewer; GraphQL has null for nobody, where REST refuses."""
        return await self.one(f"{{ viewer {{ {USER} }} }}", viewer)

    async def create(self, viewer: Account | None, **input: Any) -> Any:
        document = f"mutation($input: CreatePostInput!) {{ createPost(input: $input) {{ {POST} }} }}"
        return await self.one(document, viewer, input=input)

    async def update(self, viewer: Account | None, id: str, *, version: int | None = None, **input: Any) -> Any:
        document = f"""mutation($id: ID!, $input: UpdatePostInput!, $version: Int) {{
            updatePost(id: $id, input: $input, version: $version) {{ {POST} }} }}"""
        return await self.one(document, viewer, id=id, input=input, version=version)

    async def publish(self, viewer: Account | None, id: str) -> Any:
        return await self.change("publishPost", viewer, id)

    async def archive(self, viewer: Account | None, id: str) -> Any:
        return await self.change("archivePost", viewer, id)

    async def restore(self, viewer: Account | None, id: str) -> Any:
        return await self.change("restorePost", viewer, id)

    async def like(self, viewer: Account | None, id: str) -> Any:
        return await self.change("likePost", viewer, id)

    async def unlike(self, viewer: Account | None, id: str) -> Any:
        return await self.change("unlikePost", viewer, id)

    async def change(self, mutation: str, viewer: Account | None, id: str) -> Any:
        return await self.one(f"mutation($id: ID!) {{ {mutation}(id: $id) {{ {POST} }} }}", viewer, id=id)

    async def delete(self, viewer: Account | None, id: str) -> Any:
        return await self.one("mutation($id: ID!) { deletePost(id: $id) }", viewer, id=id)

    async def comment(self, viewer: Account | None, post_id: str, content: str) -> Any:
        document = """mutation($id: ID!, $content: String!) {
            addComment(postId: $id, content: $content) {
                id content author { id name image } post { id commentCount } } }"""
        return await self.one(document, viewer, id=post_id, content=content)

    async def uncomment(self, viewer: Account | None, id: str) -> Any:
        return await self.one("mutation($id: ID!) { deleteComment(id: $id) }", viewer, id=id)

    async def post(self, viewer: Account | None, id: str) -> Any:
        """One post; GraphQL has null where REST says NOT_FOUND."""
        return await self.one(f"query($id: ID!) {{ post(id: $id) {{ {POST} }} }}", viewer, id=id)

    async def page(self, viewer: Account | None, *, page: int = 1, limit: int = 20, **filter: Any) -> Any:
        document = f"""query($page: Int, $limit: Int, $filter: PostFilter) {{
            postPage(page: $page, limit: $limit, filter: $filter) {{ data {{ {ITEM} }} page limit total pages }} }}"""
        reply = await self.one(document, viewer, page=page, limit=limit, filter=filter)
        if isinstance(reply, ErrorResponse):
            return reply
        return {"data": reply.pop("data"), "pagination": reply}

    async def posts(self, viewer: Account | None, selection: str = "nodes { title }", **arguments: Any) -> Any:
        """A connection of posts."""
        document = f"""query($first: Int, $after: String, $last: Int, $before: String,
            $filter: PostFilter, $orderBy: PostOrder = NEWEST) {{
            posts(first: $first, after: $after, last: $last, before: $before, filter: $filter, orderBy: $orderBy)
            {{ {selection} }} }}"""
        return await self.one(document, viewer, **arguments)


class Rest:
    """A client of `/api`."""

    name = "rest"

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def send(self, method: str, path: str, viewer: Account | None = None, **options: Any) -> httpx.Response:
        headers = {**bearer(viewer), **options.pop("headers", {})}
        return await self.http.request(method, f"/api{path}", headers=headers, **options)

    async def ask(self, method: str, path: str, viewer: Account | None = None, **options: Any) -> Any:
        """The answer's `data`, or what it refused with."""
        reply = rest_result(await self.send(method, path, viewer, **options))
        return reply if reply is None or isinstance(reply, ErrorResponse) else reply["data"]

    async def register(self, **input: Any) -> Any:
        return await self.ask("POST", "/auth/register", json=input)

    async def login(self, **input: Any) -> Any:
        return await self.ask("POST", "/auth/login", json=input)

    async def refresh(self, token: str) -> Any:
        return await self.ask("POST", "/auth/refresh", json={"refreshToken": token})

    async def logout(self, token: str) -> Any:
        return await self.ask("POST", "/auth/logout", json={"refreshToken": token})

    async def me(self, viewer: Account | None) -> Any:
        return await self.ask("GET", "/auth/me", viewer)

    async def create(self, viewer: Account | None, **input: Any) -> Any:
        return await self.ask("POST", "/posts", viewer, json=input)

    async def replace(self, viewer: Account | None, id: str, *, version: int | None = None, **input: Any) -> Any:
        return await self.ask("PUT", f"/posts/{id}", viewer, json=input, headers=if_match(version))

    async def update(self, viewer: Account | None, id: str, *, version: int | None = None, **input: Any) -> Any:
        return await self.ask("PATCH", f"/posts/{id}", viewer, json=input, headers=if_match(version))

    async def publish(self, viewer: Account | None, id: str) -> Any:
        return await self.update(viewer, id, status="PUBLISHED")

    async def archive(self, viewer: Account | None, id: str) -> Any:
        return await self.update(viewer, id, status="ARCHIVED")

    async def delete(self, viewer: Account | None, id: str) -> Any:
        """The id, as GraphQL answers it, since a 204 says nothing."""
        return await self.ask("DELETE", f"/posts/{id}", viewer) or id

    async def post(self, viewer: Account | None, id: str) -> Any:
        return await self.ask("GET", f"/posts/{id}", viewer)

    async def page(self, viewer: Account | None, *, page: int = 1, limit: int = 20, **filter: Any) -> Any:
        return rest_result(await self.send("GET", "/posts", viewer, params={"page": page, "limit": limit, **filter}))


def if_match(version: int | None) -> dict[str, str]:
    """`If-Match` looks at the version only, so any digest does."""
    return {} if version is None else {"If-Match": f'"{version}.anything"'}


def graphql_result(response: httpx.Response) -> Any:
    """`data`, or the first error as a `ErrorResponse`; every error must carry its status and the request's id."""
    assert response.status_code < 500, response.text
    reply = response.json()
    if not (errors := reply.get("errors")):
        return reply["data"]
    extensions = errors[0]["extensions"]
    assert extensions["status"] != 500, response.text
    assert extensions["requestId"] == response.headers["X-Request-ID"]
    return ErrorResponse(extensions["code"], errors[0]["message"], extensions.get("details"))


def rest_result(response: httpx.Response) -> Any:
    """The body, or what it refused with; a refusal must carry the request's id."""
    assert response.status_code < 500, response.text
    if response.status_code == 204:
        return None
    reply = response.json()
    if response.is_success:
        return reply
    assert reply["requestId"] == response.headers["X-Request-ID"]
    return ErrorResponse(reply["code"], reply["error"], reply.get("details"))
