"""Posts."""

from functools import lru_cache
from typing import Annotated, Any

from fastapi import Body, Header, Path
from pydantic import AfterValidator, BaseModel, Field
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from gateway import limits
from gateway.auth.request import get_context
from gateway.rest.framework import queries
from gateway.rest.framework.openapi import (
    IF_NONE_MATCH_PARAMETER,
    LOGIN_OPTIONAL,
    LOGIN_REQUIRED,
    etag_responses,
    header,
    query_parameters,
)
from gateway.rest.framework.responses import get_response, parse_if_match, write_response
from gateway.rest.framework.routing import create_router, raises
from gateway.rest.framework.schemas import Data, Post, PostPage
from models import PostStatus
from models.errors import NotFound, PreconditionFailed
from resolvers import posts
from resolvers.inputs import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, Reference, Text, parse_id_or_nil, validate
from resolvers.posts import CreatePost, UpdatePost

router = create_router("/api/posts", "Posts")

MAX_INT32 = 2**31 - 1


def check_int32(number: int) -> int:
    """Reject what GraphQL's Int cannot carry. The read engine checks narrower ranges, for both protocols alike."""
    if abs(number) > MAX_INT32:
        raise ValueError("must be a 32-bit integer")
    return number


def bounded_int(maximum: int) -> Any:
    return Annotated[int, AfterValidator(check_int32), Field(json_schema_extra={"minimum": 1, "maximum": maximum})]


class PostQuery(BaseModel):
    page: bounded_int(MAX_INT32) = Field(1, description="Page number, from 1.")
    limit: bounded_int(MAX_PAGE_SIZE) = Field(
        DEFAULT_PAGE_SIZE, description=f"Number of posts on a page, 1 to {MAX_PAGE_SIZE}."
    )
    status: PostStatus = Field(
        PostStatus.PUBLISHED,
        description="Status of the posts. Drafts and archived posts are shown to their author only.",
    )
    q: Text | None = Field(None, description="Text to search for in title and content, ignoring case.")


@lru_cache(512)
def parse_query(query_string: bytes) -> PostQuery:
    return validate(PostQuery, QueryParams(query_string))


NewPost = Annotated[
    CreatePost,
    Body(
        examples=[
            {
                "title": "How to sharpen a chisel",
                "content": "Slowly, and on three stones.",
                "tags": ["hand tools"],
                "status": "PUBLISHED",
            }
        ]
    ),
]
PostChanges = Annotated[UpdatePost, Body(examples=[{"excerpt": "Three stones."}])]
Id = Annotated[Reference, Path(description="Id of the post.")]
IfMatch = Annotated[str | None, Header(description="ETag of the post. Only the version in it is compared.")]

ID_PARAMETER = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "Id of the post.",
    "schema": {"type": "string", "format": "uuid"},
}
POST_RESPONSES = etag_responses('`"VERSION.DIGEST"`')
CHANGED = {200: POST_RESPONSES[200]}
CREATED = {201: {"headers": {"Location": header("Path of the new post."), **POST_RESPONSES[200]["headers"]}}}


@router.get(
    "",
    response_model=PostPage,
    response_description="One page of posts.",
    responses=etag_responses('`"DIGEST"`'),
    openapi_extra={**LOGIN_OPTIONAL, "parameters": [*query_parameters(PostQuery), IF_NONE_MATCH_PARAMETER]},
)
@limits.api
async def list_posts(request: Request) -> Response:
    """Return one page of the posts that the viewer may see, newest first."""
    query = parse_query(request.scope["query_string"])
    filter = {"status": query.status.name, "q": query.q}
    page = await queries.fetch_post_page(request, page=query.page, limit=query.limit, filter=filter)
    return get_response(request.scope, page)


@router.post(
    "",
    status_code=201,
    response_model=Data[Post],
    response_description="The new post.",
    responses=CREATED,
    openapi_extra=LOGIN_REQUIRED,
)
@limits.api
async def create_post(request: Request, input: NewPost) -> Response:
    """Create a post. It is a draft unless `status` says otherwise."""
    id = await posts.create(get_context(request), input)
    return write_response(await queries.fetch_post(request, id), 201, Location=f"/api/posts/{id}")


@router.get(
    "/{id}",
    response_model=Data[Post],
    response_description="The post.",
    responses=POST_RESPONSES,
    openapi_extra={**LOGIN_OPTIONAL, "parameters": [ID_PARAMETER, IF_NONE_MATCH_PARAMETER]},
)
@limits.api
@raises(NotFound)
async def get_post(request: Request) -> Response:
    """Return one post."""
    return get_response(request.scope, await queries.fetch_post(request, parse_id_or_nil(request.path_params["id"])))


@router.put(
    "/{id}",
    response_model=Data[Post],
    response_description="The changed post.",
    responses=CHANGED,
    openapi_extra=LOGIN_REQUIRED,
)
@limits.api
@raises(NotFound, PreconditionFailed)
async def replace_post(request: Request, id: Id, input: NewPost, if_match: IfMatch = None) -> Response:
    """Replace a post. Fields that are left out are reset to their defaults."""
    await posts.replace(get_context(request), id, input, parse_if_match(if_match))
    return write_response(await queries.fetch_post(request, id))


@router.patch(
    "/{id}",
    response_model=Data[Post],
    response_description="The changed post.",
    responses=CHANGED,
    openapi_extra=LOGIN_REQUIRED,
)
@limits.api
@raises(NotFound, PreconditionFailed)
async def update_post(request: Request, id: Id, input: PostChanges, if_match: IfMatch = None) -> Response:
    """Change fields of a post. Fields that are left out stay as they are."""
    await posts.update(get_context(request), id, input, parse_if_match(if_match))
    return write_response(await queries.fetch_post(request, id))


@router.delete("/{id}", status_code=204, response_description="The post was deleted.", openapi_extra=LOGIN_REQUIRED)
@limits.api
@raises(NotFound, PreconditionFailed)
async def delete_post(request: Request, id: Id, if_match: IfMatch = None) -> Response:
    """Delete a post. An admin can restore it."""
    await posts.delete(get_context(request), id, parse_if_match(if_match))
    return Response(status_code=204)
