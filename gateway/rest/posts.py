"""Posts over plain HTTP."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from starlette.requests import Request
from starlette.responses import Response

from gateway import limits
from gateway.context import Context
from gateway.rest import answers, reads
from gateway.rest.answers import expected_version
from gateway.rest.openapi import ANYONE, SIGNED_IN, WITH_BODY, header, refusals
from gateway.rest.routes import Endpoint
from gateway.rest.shapes import Data, Post, PostPage
from models import PostStatus
from models.errors import Forbidden, NotFound, PreconditionFailed
from resolvers import posts
from resolvers.inputs import Reference
from resolvers.posts import CreatePost, UpdatePost

router = APIRouter(prefix="/api/posts", tags=["Posts"], route_class=Endpoint)


def whole_number(most: int) -> Any:
    """From one on; the engine refuses what is outside, in the words of GraphQL."""
    return Query(json_schema_extra={"minimum": 1, "maximum": most})


Page = Annotated[int, whole_number(2**31 - 1)]
Limit = Annotated[int, whole_number(100)]
Status = Annotated[str, Query(json_schema_extra={"enum": [status.name for status in PostStatus]})]
Search = Annotated[str | None, Query(description="Text in the title or the content, whatever its case.")]
IfMatch = Annotated[str | None, Header(description="An ETag; only its version is compared.")]
IfNoneMatch = Annotated[str | None, Header(description="An ETag, or several.")]

ETAG = {"headers": {"ETag": header('`"VERSION.DIGEST"`')}}
UNCHANGED = {304: {"description": "You have it already", **ETAG}}
CREATED = {201: {"headers": {"Location": header("Where the post is."), **ETAG["headers"]}}}
WRITES = Forbidden, NotFound, PreconditionFailed


@router.get("", response_model=PostPage, responses=refusals(), openapi_extra=ANYONE)
@limits.api
async def list_posts(
    request: Request, ctx: Context, page: Page = 1, limit: Limit = 20, status: Status = "PUBLISHED", q: Search = None
) -> Response:
    """One page of the posts that the viewer may see, newest first."""
    return answers.json(await reads.post_page(request, ctx, page=page, limit=limit, filter={"status": status, "q": q}))


@router.post(
    "",
    status_code=201,
    response_model=Data[Post],
    responses=refusals(*WITH_BODY, also=CREATED),
    openapi_extra=SIGNED_IN,
)
@limits.api
async def create_post(request: Request, ctx: Context, input: CreatePost) -> Response:
    """Write a post; a draft, unless its status says otherwise."""
    id = await posts.create(ctx, input)
    return answers.entity(await reads.post(request, ctx, id), 201, Location=f"/api/posts/{id}")


@router.get(
    "/{id}", response_model=Data[Post], responses=refusals(NotFound, also=UNCHANGED | {200: ETAG}), openapi_extra=ANYONE
)
@limits.api
async def get_post(request: Request, ctx: Context, id: Reference, if_none_match: IfNoneMatch = None) -> Response:
    """One post."""
    return answers.entity(await reads.post(request, ctx, id), if_none_match=if_none_match)


@router.put(
    "/{id}",
    response_model=Data[Post],
    responses=refusals(*WITH_BODY, *WRITES, also={200: ETAG}),
    openapi_extra=SIGNED_IN,
)
@limits.api
async def replace_post(
    request: Request, ctx: Context, id: Reference, input: CreatePost, if_match: IfMatch = None
) -> Response:
    """Write a post anew; what is left out is reset."""
    await posts.replace(ctx, id, input, expected_version(if_match))
    return answers.entity(await reads.post(request, ctx, id))


@router.patch(
    "/{id}",
    response_model=Data[Post],
    responses=refusals(*WITH_BODY, *WRITES, also={200: ETAG}),
    openapi_extra=SIGNED_IN,
)
@limits.api
async def update_post(
    request: Request, ctx: Context, id: Reference, input: UpdatePost, if_match: IfMatch = None
) -> Response:
    """Change some of a post; what is left out stays as it is."""
    await posts.update(ctx, id, input, expected_version(if_match))
    return answers.entity(await reads.post(request, ctx, id))


@router.delete("/{id}", status_code=204, responses=refusals(*WRITES), openapi_extra=SIGNED_IN)
@limits.api
async def delete_post(request: Request, ctx: Context, id: Reference, if_match: IfMatch = None) -> Response:
    """Put a post away; an admin can bring it back."""
    await posts.delete(ctx, id, expected_version(if_match))
    return Response(status_code=204)
