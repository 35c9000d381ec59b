"""The GraphQL queries behind REST's reads, and the response bodies that are built from their results."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from starlette.requests import Request

from gateway.auth.cookies import SAFE_METHODS
from gateway.auth.request import get_context
from gateway.graphql.engine import StaticQuery
from gateway.http.conditional import CacheControl
from gateway.rest.framework.responses import JsonBody, VersionedBody, wrap_data
from gateway.state import get_state
from models.errors import NotFound
from resolvers.context import no_charge

STATIC_QUERIES: list[StaticQuery] = []
"""Every query that `static_query` declared."""
NULL = b"null"
Texts = dict[str, bytes]
"""The JSON text of each root field."""


def static_query(source: str) -> StaticQuery:
    """Declare a query, which is compiled when the server starts."""
    STATIC_QUERIES.append(query := StaticQuery(source))
    return query


USER = "id name email image role createdAt"
ITEM = "id title slug excerpt status publishedAt author { id name image } commentCount likeCount"
VIEWER_QUERY = static_query(f"{{ viewer {{ {USER} }} }}")
POST_QUERY = static_query(
    f"""query ($id: ID!) {{
        post(id: $id) {{
            {ITEM} content createdAt updatedAt version
            category {{ id name slug }} tags {{ id name slug }} viewerHasLiked
            uploads {{ id url filename contentType size sha256 createdAt }}
        }}
    }}"""
)
POST_PAGE_QUERY = static_query(
    f"""query ($page: Int, $limit: Int, $filter: PostFilter) {{
        items: postPage(page: $page, limit: $limit, filter: $filter) {{ data {{ {ITEM} }} }}
        pagination: postPage(page: $page, limit: $limit, filter: $filter) {{ page limit total pages }}
    }}"""
)


async def fetch_viewer(request: Request) -> JsonBody:
    """Return the viewer's account as a response body. Raises `Unauthorized`."""
    get_context(request).require_viewer()
    return await run_query(request, VIEWER_QUERY, viewer_body)


async def fetch_viewer_json(request: Request) -> bytes:
    """Return the viewer's account as JSON text. Raises `Unauthorized`."""
    result = await get_state(request).engine.execute_static(VIEWER_QUERY, {}, get_context(request).require_viewer())
    return result["viewer"]


async def fetch_post(request: Request, id: UUID) -> JsonBody:
    """Return one post as a response body. Raises `NotFound` if it does not exist or the viewer may not see it."""
    return await run_query(request, POST_QUERY, post_body, id=str(id))


async def fetch_post_page(request: Request, **variables: Any) -> JsonBody:
    """Return one page of posts as a response body: `{"data": […], "pagination": {…}}`."""
    return await run_query(request, POST_PAGE_QUERY, page_body, **variables)


async def run_query(
    request: Request, query: StaticQuery, build_body: Callable[[Texts, CacheControl], JsonBody], **variables: Any
) -> JsonBody:
    """Return the body that `build_body` builds from the query's result.

    A read is charged what the same GraphQL query costs. A write has been charged before it ran, so that it is never
    rejected after it took effect.
    """
    ctx, is_read = get_context(request), request.method in SAFE_METHODS
    charge = ctx.charge if is_read else no_charge
    body = await get_state(request).engine.execute_static(query, variables, ctx.viewer, build_body, charge)
    if is_read and ctx.viewer is None:
        request.app.state.request_cache.store(request.scope, query.cache_key(variables, build_body))
    return body


def viewer_body(texts: Texts, cache_control: CacheControl) -> JsonBody:
    return JsonBody(wrap_data(texts["viewer"]), cache_control)


def post_body(texts: Texts, cache_control: CacheControl) -> JsonBody:
    if texts["post"] == NULL:
        raise NotFound.for_entity("Post")
    return VersionedBody(wrap_data(texts["post"]), cache_control)


def page_body(texts: Texts, cache_control: CacheControl) -> JsonBody:
    return JsonBody(b'%b,"pagination":%b}' % (texts["items"].rstrip()[:-1], texts["pagination"]), cache_control)
