"""Run the queries behind REST's reads and build response bodies from their results."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from starlette.requests import Request

from gateway.auth.request import get_context
from gateway.graphql.engine import Named
from gateway.graphql.request import Reuse
from gateway.rest.framework.responses import JsonBody, VersionedBody, wrap_data
from gateway.wiring import get_state
from models.errors import NotFound

NULL = b"null"
Texts = dict[str, bytes]
"""The JSON text of each root field."""


async def fetch_viewer(request: Request) -> JsonBody:
    """Return the viewer's account as a response body. Raises `Unauthorized`."""
    get_context(request).signed_in()
    return await run_query(request, get_state(request).documents.viewer, viewer_body)


async def fetch_viewer_json(request: Request) -> bytes:
    """Return the viewer's account as JSON text. Raises `Unauthorized`."""
    gateway = get_state(request)
    return (await gateway.engine.read(gateway.documents.viewer, {}, get_context(request).signed_in()))["viewer"]


async def fetch_post(request: Request, id: UUID) -> JsonBody:
    """Return one post as a response body. Raises `NotFound` if it does not exist or the viewer may not see it."""
    return await run_query(request, get_state(request).documents.post, post_body, id=str(id))


async def fetch_post_page(request: Request, **variables: Any) -> JsonBody:
    """Return one page of posts as a response body: `{"data": […], "pagination": {…}}`."""
    return await run_query(request, get_state(request).documents.posts, page_body, **variables)


async def run_query(
    request: Request, query: Named, build_body: Callable[[Texts, Reuse], JsonBody], **variables: Any
) -> JsonBody:
    gateway, viewer = get_state(request), get_context(request).viewer
    body = await gateway.engine.read(query, variables, viewer, build_body)
    if viewer is None:
        gateway.known.store(request.scope, query.asked(variables, build_body))
    return body


def viewer_body(texts: Texts, reuse: Reuse) -> JsonBody:
    return JsonBody(wrap_data(texts["viewer"]), reuse)


def post_body(texts: Texts, reuse: Reuse) -> JsonBody:
    if texts["post"] == NULL:
        raise NotFound.named("Post")
    return VersionedBody(wrap_data(texts["post"]), reuse)


def page_body(texts: Texts, reuse: Reuse) -> JsonBody:
    return JsonBody(b'%b,"pagination":%b}' % (texts["items"].rstrip()[:-1], texts["pagination"]), reuse)
