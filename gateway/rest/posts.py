"""Posts over plain HTTP."""

from functools import lru_cache
from typing import Annotated, Any

from fastapi import Header, Path
from pydantic import AfterValidator, BaseModel, Field
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from gateway import limits
from gateway.auth.request import get_context
from gateway.rest.framework import reads, responses
from gateway.rest.framework.openapi import (
    ANYONE,
    REPEATED,
    WITH_BODY,
    WRITING,
    conditional,
    header,
    parameters,
    path_id,
    query,
    refusals,
    tagged,
)
from gateway.rest.framework.responses import expected_version
from gateway.rest.framework.routing import costs, router_of
from gateway.rest.framework.schemas import Data, Post, PostPage
from models import PostStatus
from models.errors import Forbidden, NotFound, PreconditionFailed
from resolvers import posts
from resolvers.inputs import Reference, Text, lenient_id, validated
from resolvers.post_queries import SEARCHING
from resolvers.posts import CreatePost, UpdatePost

router = router_of("/api/posts", "Posts")


PAGE, ROW = 14, 2
"""Points of a list, for its count and for each post with its author."""
SEARCH = 2 * SEARCHING
"""Points besides, where text is looked for: among those of the page, and among all."""
MOST_INT = 2**31 - 1


def int32(number: int) -> int:
    """What GraphQL can carry too; below that the engine says what is out of range, in the words of GraphQL."""
    if abs(number) > MOST_INT:
        raise ValueError("must be a whole number of 32 bits")
    return number


def whole_number(most: int) -> Any:
    return Annotated[int, AfterValidator(int32), Field(json_schema_extra={"minimum": 1, "maximum": most})]


class PostQuery(BaseModel):
    """What a list is asked for. FastAPI would read these one by one, for the price of the rest of the request."""

    page: whole_number(MOST_INT) = Field(1, description="Which page, from 1.")
    limit: whole_number(100) = Field(20, description="How many on a page, 1 to 100.")
    status: PostStatus = Field(PostStatus.PUBLISHED, description="What is not published is shown to its author.")
    q: Text | None = Field(None, description="Text in the title or the content, whatever its case.")


@lru_cache(512)
def asked_for(query_string: bytes) -> PostQuery:
    """Kept for those seen last: to read one takes a sixth of an answer that is known."""
    return validated(PostQuery, QueryParams(query_string))


Id = Annotated[Reference, Path(description="Its id.")]
IfMatch = Annotated[str | None, Header(description="An ETag; only its version is compared.")]

TAGGED = tagged('`"VERSION.DIGEST"`')
ETAG = TAGGED[200]
CREATED = {201: {"headers": {"Location": header("Where the post is."), **ETAG["headers"]}}}
WRITES = Forbidden, NotFound, PreconditionFailed, *REPEATED


@router.get(
    "",
    response_model=PostPage,
    responses=refusals(also=tagged('`"DIGEST"`')),
    openapi_extra=conditional(ANYONE, query(PostQuery)),
)
@limits.api
@costs(0)
async def list_posts(request: Request) -> Response:
    """One page of the posts that the viewer may see, newest first."""
    asked = asked_for(request.scope["query_string"])
    await get_context(request).charge(PAGE + ROW * asked.limit + (0 if asked.q is None else SEARCH))
    filter = {"status": asked.status.name, "q": asked.q}
    page = await reads.post_page(request, page=asked.page, limit=asked.limit, filter=filter)
    return responses.read(request.scope, page)


@router.post(
    "",
    status_code=201,
    response_model=Data[Post],
    responses=refusals(*WITH_BODY, *REPEATED, also=CREATED),
    openapi_extra=WRITING,
)
@limits.api
async def create_post(request: Request, input: CreatePost) -> Response:
    """Write a post; a draft, unless its status says otherwise."""
    id = await posts.create(get_context(request), input)
    return responses.written(await reads.post(request, id), 201, Location=f"/api/posts/{id}")


@router.get(
    "/{id}",
    response_model=Data[Post],
    responses=refusals(NotFound, also=TAGGED),
    openapi_extra=conditional(ANYONE, parameters(path_id("id"))),
)
@limits.api
async def get_post(request: Request) -> Response:
    """One post."""
    return responses.read(request.scope, await reads.post(request, lenient_id(request.path_params["id"])))


@router.put(
    "/{id}",
    response_model=Data[Post],
    responses=refusals(*WITH_BODY, *WRITES, also={200: ETAG}),
    openapi_extra=WRITING,
)
@limits.api
async def replace_post(request: Request, id: Id, input: CreatePost, if_match: IfMatch = None) -> Response:
    """Write a post anew; what is left out is reset."""
    await posts.replace(get_context(request), id, input, expected_version(if_match))
    return responses.written(await reads.post(request, id))


@router.patch(
    "/{id}",
    response_model=Data[Post],
    responses=refusals(*WITH_BODY, *WRITES, also={200: ETAG}),
    openapi_extra=WRITING,
)
@limits.api
async def update_post(request: Request, id: Id, input: UpdatePost, if_match: IfMatch = None) -> Response:
    """Change some of a post; what is left out stays as it is."""
    await posts.update(get_context(request), id, input, expected_version(if_match))
    return responses.written(await reads.post(request, id))


@router.delete("/{id}", status_code=204, responses=refusals(*WRITES), openapi_extra=WRITING)
@limits.api
async def delete_post(request: Request, id: Id, if_match: IfMatch = None) -> Response:
    """Put a post away; an admin can bring it back."""
    await posts.delete(get_context(request), id, expected_version(if_match))
    return Response(status_code=204)
