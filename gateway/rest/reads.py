"""Reads as endpoints want them: JSON text, as the viewer may see it."""

from typing import Any
from uuid import UUID

from starlette.requests import Request

from gateway.context import context_of, gateway_of
from models.errors import NotFound

NULL = b"null"


async def viewer(request: Request) -> bytes:
    """The viewer's own account."""
    gateway = gateway_of(request)
    return (await gateway.engine.read(gateway.documents.viewer, {}, context_of(request).signed_in()))["viewer"]


async def post(request: Request, id: UUID) -> bytes:
    """One post, for who may see it."""
    gateway = gateway_of(request)
    found = (await gateway.engine.read(gateway.documents.post, {"id": str(id)}, context_of(request).viewer))["post"]
    if found == NULL:
        raise NotFound.named("Post")
    return found


async def post_page(request: Request, **variables: Any) -> bytes:
    """`{"data": […], "pagination": {…}}`."""
    gateway = gateway_of(request)
    read = await gateway.engine.read(gateway.documents.posts, variables, context_of(request).viewer)
    return b'%b,"pagination":%b}' % (read["items"].rstrip()[:-1], read["pagination"])
