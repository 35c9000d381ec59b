"""Files out: what was uploaded, to anybody who knows its address."""

import re
from collections.abc import AsyncIterator
from typing import Annotated
from urllib.parse import quote

from fastapi import Header, Path
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from gateway.http.conditional import matches
from gateway.http.errors import refused
from gateway.http.request_state import visit_of
from gateway.rest.framework.openapi import header, refusals
from gateway.rest.framework.routing import router_of
from gateway.wiring import Gateway, get_state
from models import Upload
from models.errors import NotFound, RangeNotSatisfiable, Refusal, Unavailable, ValidationError
from resolvers import uploads
from resolvers.images.file_types import OF_MEDIA_TYPE
from resolvers.images.thumbnails import WIDTHS

router = router_of(uploads.FOLDER.rstrip("/"), "Uploads", admitting=False)

RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))", re.IGNORECASE)
"""One range. Several, or what is none, are answered with the whole file, as RFC 9110 allows."""
PLAIN = re.compile(r"[^A-Za-z0-9._ -]")
KEPT = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",  # they are public, and shown by front ends of other origins
    "Accept-Ranges": "bytes",
}
ANYWHERE = ValidationError, Refusal, Unavailable
"""Nobody is asked who they are, nor how often they come."""
BYTES = {"content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}}
HEADERS = {"headers": {"ETag": header("A strong one."), "Content-Disposition": header("Inline for pictures.")}}
FOUND = {
    200: {"description": "The file", **BYTES, **HEADERS},
    206: {"description": "A range of it", **BYTES, "headers": {"Content-Range": header("Which.")}},
    304: {"description": "You have it already"},
}
WIDTH = {
    "parameters": [
        {
            "name": "w",
            "in": "query",
            "description": "The width of a picture, which is made no larger than it is.",
            "schema": {"type": "integer", "enum": list(WIDTHS)},
        }
    ]
}

Name = Annotated[str, Path(description="The last part of the `url` that uploading answered.")]
IfNoneMatch = Annotated[str | None, Header(description="An ETag, or several.")]
IfRange = Annotated[str | None, Header(description="An ETag: the range is of this or nothing.")]
Range = Annotated[str | None, Header(description="One range of bytes.")]


@router.get(
    "/{name}",
    response_class=Response,
    responses=refusals(NotFound, RangeNotSatisfiable, also=FOUND, anywhere=ANYWHERE),
    openapi_extra={"security": [{}], **WIDTH},
)
async def get_upload(
    request: Request, name: Name, range: Range = None, if_range: IfRange = None, if_none_match: IfNoneMatch = None
) -> Response:
    """A file that was uploaded, or a picture in a smaller width."""
    gateway = get_state(request)
    width = width_of(request)
    upload = await uploads.named(gateway.db, name)
    stored, size, etag = await version(gateway, upload, width)
    headers = {**KEPT, "ETag": etag, "Content-Disposition": disposition(upload)}
    if if_none_match is not None and matches(if_none_match, etag):
        return Response(status_code=304, headers=headers)
    if not visit_of(request.scope).wants_body:
        return Response(headers={**headers, "Content-Length": str(size)}, media_type=upload.content_type)
    wanted = (range and RANGE.fullmatch(range.strip())) if if_range in (None, etag) else None
    span = span_of(wanted, size) if wanted else (0, size)
    if span is None:
        return refused(request.scope, RangeNotSatisfiable(), {"Content-Range": f"bytes */{size}"})
    partial = {"Content-Range": f"bytes {span[0]}-{span[1] - 1}/{size}"} if wanted else {}
    body = await opened(gateway, stored, span)
    lengths = {"Content-Length": str(span[1] - span[0]), **partial}
    return StreamingResponse(body, 206 if wanted else 200, {**headers, **lengths}, upload.content_type)


async def version(gateway: Gateway, upload: Upload, width: int | None) -> tuple[str, int, str]:
    """The name in storage, the size and the ETag of an upload or of a smaller one."""
    if width is not None and not upload.content_type.startswith("image/"):
        raise ValidationError.of(w="Only pictures have widths")
    if width is None or upload.width is None or width >= upload.width:
        return upload.name, upload.size, f'"{upload.sha256}"'
    stored, size = await gateway.widths.made(upload, width)
    return stored, size, f'"{upload.sha256}.{width}"'


async def opened(gateway: Gateway, stored: str, span: tuple[int, int]) -> AsyncIterator[bytes]:
    body = await gateway.storage.open(stored, *span)
    if body is None:
        raise NotFound.named("Upload")
    return body


def width_of(request: Request) -> int | None:
    given = request.query_params.getlist("w")
    if not given:
        return None
    if len(given) > 1 or given[0] not in map(str, WIDTHS):
        raise ValidationError.of(w=f"must be one of {', '.join(map(str, WIDTHS))}")
    return int(given[0])


def span_of(wanted: re.Match[str], size: int) -> tuple[int, int] | None:
    """From where to before where; None where the file has nothing."""
    first, last, suffix = wanted.groups()
    start = max(0, size - int(suffix)) if suffix else int(first)
    stop = min(size, int(last) + 1) if last else size
    return (start, stop) if start < stop else None


def disposition(upload: Upload) -> str:
    """RFC 6266: a name that any client can read, and beside it the whole one in UTF-8."""
    kind = OF_MEDIA_TYPE[upload.content_type]
    plain = PLAIN.sub("_", upload.filename)
    whole = "" if plain == upload.filename else f"; filename*=UTF-8''{encoded(upload.filename)}"
    return f'{"inline" if kind.format else "attachment"}; filename="{plain}"{whole}'


def encoded(filename: str) -> str:
    """RFC 8187's spelling."""
    return quote(filename, safe="!#$&+-.^_`|~")
