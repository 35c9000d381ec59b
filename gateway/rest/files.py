"""Download of uploaded files, which are public."""

import re
from collections.abc import AsyncIterator
from typing import Annotated
from urllib.parse import quote

from fastapi import Header, Path
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from gateway.http.conditional import etag_matches
from gateway.http.errors import error_response
from gateway.http.request_state import get_request_state
from gateway.rest.framework.openapi import header
from gateway.rest.framework.routing import create_router, raises
from gateway.state import AppState, get_state
from models import Upload
from models.errors import APIError, NotFound, RangeNotSatisfiable, Unavailable, ValidationError
from resolvers import uploads
from resolvers.images.file_types import BY_MEDIA_TYPE
from resolvers.images.thumbnails import WIDTHS

router = create_router(uploads.URL_PREFIX.rstrip("/"), "Uploads", authenticated=False)

RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))", re.IGNORECASE)
"""A single range. Anything else is ignored and the whole file sent, as RFC 9110 section 14.2 allows."""
UNSAFE_IN_FILENAME = re.compile(r"[^A-Za-z0-9._ -]")
CACHE_HEADERS = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",  # front ends of other origins may show public files
    "Accept-Ranges": "bytes",
}
CONTENT = {"content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}}
RESPONSES = {
    200: {
        "description": "The file.",
        **CONTENT,
        "headers": {
            "ETag": header("A strong ETag."),
            "Content-Disposition": header("`inline` for images, else `attachment`; with the filename."),
        },
    },
    206: {
        "description": "A range of the file.",
        **CONTENT,
        "headers": {"Content-Range": header("The range that was sent.")},
    },
    304: {"description": "Not modified: the client has the current version."},
}
WIDTH_PARAMETER = {
    "name": "w",
    "in": "query",
    "description": "Width in pixels to scale an image down to. A smaller image stays as it is.",
    "schema": {"type": "integer", "enum": list(WIDTHS)},
}

Name = Annotated[str, Path(description="Last segment of the upload's `url`.")]
IfNoneMatch = Annotated[str | None, Header(description="One or more ETags.")]
IfRange = Annotated[str | None, Header(description="An ETag: send the whole file if it is not current.")]
Range = Annotated[str | None, Header(description="One range of bytes.")]


@router.get(
    "/{name}",
    response_class=Response,
    responses=RESPONSES,
    openapi_extra={"security": [{}], "parameters": [WIDTH_PARAMETER]},
)
@raises(ValidationError, NotFound, RangeNotSatisfiable, APIError, Unavailable)
async def get_upload(
    request: Request, name: Name, range: Range = None, if_range: IfRange = None, if_none_match: IfNoneMatch = None
) -> Response:
    """Return an uploaded file, or a smaller version of an uploaded image."""
    app_state = get_state(request)
    width = parse_width(request)
    upload = await uploads.by_name(app_state.db, name)
    stored_name, size, etag = await select_variant(app_state, upload, width)
    headers = {**CACHE_HEADERS, "ETag": etag, "Content-Disposition": content_disposition(upload)}
    if if_none_match is not None and etag_matches(if_none_match, etag):
        return Response(status_code=304, headers=headers)
    if not get_request_state(request.scope).send_body:
        return Response(headers={**headers, "Content-Length": str(size)}, media_type=upload.content_type)
    match = (range and RANGE.fullmatch(range.strip())) if if_range in (None, etag) else None
    span = parse_range(match, size) if match else (0, size)
    if span is None:
        return error_response(request.scope, RangeNotSatisfiable(), {"Content-Range": f"bytes */{size}"})
    start, stop = span
    headers["Content-Length"] = str(stop - start)
    if match:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    body = await open_body(app_state, stored_name, span)
    return StreamingResponse(body, 206 if match else 200, headers, upload.content_type)


async def select_variant(app_state: AppState, upload: Upload, width: int | None) -> tuple[str, int, str]:
    """Return the storage name, the size in bytes and the ETag of an upload, or of its thumbnail of a width."""
    if width is not None and not upload.content_type.startswith("image/"):
        raise ValidationError.for_fields(w="Only images can be scaled")
    if width is None or upload.width is None or width >= upload.width:
        return upload.name, upload.size, f'"{upload.sha256}"'
    stored_name, size = await app_state.thumbnails.get_or_create(upload, width)
    return stored_name, size, f'"{upload.sha256}.{width}"'


async def open_body(app_state: AppState, stored_name: str, span: tuple[int, int]) -> AsyncIterator[bytes]:
    body = await app_state.storage.open(stored_name, *span)
    if body is None:
        raise NotFound.for_entity("Upload")
    return body


def parse_width(request: Request) -> int | None:
    values = request.query_params.getlist("w")
    if not values:
        return None
    if len(values) > 1 or values[0] not in map(str, WIDTHS):
        raise ValidationError.for_fields(w=f"must be one of {', '.join(map(str, WIDTHS))}")
    return int(values[0])


def parse_range(match: re.Match[str], size: int) -> tuple[int, int] | None:
    """Return the first byte and the byte after the last; None if the file has no such range."""
    first, last, suffix = match.groups()
    start = max(0, size - int(suffix)) if suffix else int(first)
    stop = min(size, int(last) + 1) if last else size
    return (start, stop) if start < stop else None


def content_disposition(upload: Upload) -> str:
    """Return the header of RFC 6266: an ASCII filename, and the original in UTF-8 (RFC 8187) if it differs."""
    ascii_name = UNSAFE_IN_FILENAME.sub("_", upload.filename)
    disposition = "inline" if BY_MEDIA_TYPE[upload.content_type].pillow_format else "attachment"
    if ascii_name == upload.filename:
        return f'{disposition}; filename="{ascii_name}"'
    encoded = quote(upload.filename, safe="!#$&+-.^_`|~")
    return f"{disposition}; filename=\"{ascii_name}\"; filename*=UTF-8''{encoded}"
