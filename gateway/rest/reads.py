"""Reads as endpoints want them: JSON text, as the viewer may see it."""

from typing import Any
from uuid import UUID

from starlette.requests import Request

from gateway.context import gateway_of
from models.errors import NotFound
from resolvers.context import RequestContext

NULL = b"null"


async def viewer(request: Request, ctx: RequestContext) -> bytes:
    """The viewer's own account."""
    gateway = gateway_of(request)
    return (await gateway.engine.read(gateway.documents.viewer, {}, ctx.signed_in()))["viewer"]


async def post(request: Request, ctx: RequestContext, id: UUID) -> bytes:
    """One post, for who may see it."""
    gateway = gateway_of(request)
    found = (await gateway.engine.read(gateway.documents.post, {"id": str(id)}, ctx.viewer))["post"]
    if found == NULL:
        raise NotFound.named("Post")
    return found


async def post_page(request: Request, ctx: RequestContext, **variables: Any) -> bytes:
    """`{"data": […], "pagination": {…}}`."""
    gateway = gateway_of(request)
    read = await gateway.engine.read(gateway.documents.posts, variables, ctx.viewer)
    return b'%b,"pagination":%b}' % (read["items"].rstrip()[:-1], read["pagination"])
