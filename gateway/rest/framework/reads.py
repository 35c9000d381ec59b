"""Reads as endpoints want them: finished bodies, as the viewer may see what is in them."""

from typing import Any
from uuid import UUID

from starlette.requests import Request

from gateway.auth.request import get_context
from gateway.graphql.engine import Named
from gateway.graphql.request import Reuse
from gateway.rest.framework.responses import Body, Entity, wrapped
from gateway.wiring import get_state
from models.errors import NotFound

NULL = b"null"
Texts = dict[str, bytes]


async def viewer(request: Request) -> Body:
    """The viewer's own account, as an answer."""
    get_context(request).signed_in()
    return await read(request, get_state(request).documents.viewer, as_viewer)


async def account(request: Request) -> bytes:
    """The same, as part of one."""
    gateway = get_state(request)
    return (await gateway.engine.read(gateway.documents.viewer, {}, get_context(request).signed_in()))["viewer"]


async def post(request: Request, id: UUID) -> Body:
    """One post, for who may see it."""
    return await read(request, get_state(request).documents.post, as_post, id=str(id))


async def post_page(request: Request, **variables: Any) -> Body:
    """`{"data": […], "pagination": {…}}`."""
    return await read(request, get_state(request).documents.posts, as_page, **variables)


async def read(request: Request, document: Named, make: Any, **variables: Any) -> Any:
    gateway, viewer = get_state(request), get_context(request).viewer
    read = await gateway.engine.read(document, variables, viewer, make)
    if viewer is None:
        gateway.known.note(request.scope, document.asked(variables, make))
    return read


def as_viewer(texts: Texts, reuse: Reuse) -> Body:
    return Body(wrapped(texts["viewer"]), reuse)


def as_post(texts: Texts, reuse: Reuse) -> Body:
    if texts["post"] == NULL:
        raise NotFound.named("Post")
    return Entity(wrapped(texts["post"]), reuse)


def as_page(texts: Texts, reuse: Reuse) -> Body:
    return Body(b'%b,"pagination":%b}' % (texts["items"].rstrip()[:-1], texts["pagination"]), reuse)
