"""Upload of files."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway import limits
from gateway.auth.request import get_context
from gateway.rest.framework.multipart import FILE_FIELD, FILES_FIELD, MAX_FILES, UploadedPart, parse_upload
from gateway.rest.framework.openapi import LOGIN_REQUIRED
from gateway.rest.framework.responses import NO_STORE, json_response
from gateway.rest.framework.routing import cost, create_router
from gateway.rest.framework.schemas import Uploaded, UploadedFiles
from gateway.state import get_state
from models import Upload
from models.errors import APIError, Unavailable
from resolvers import uploads
from resolvers.images.file_types import FILE_TYPES

PATH = "/api/upload"

router = create_router(PATH, "Uploads")

BINARY = {"type": "string", "format": "binary"}
FORM = {  # a form cannot express an empty list of files, so the schema cannot forbid `files` beside `file`
    "type": "object",
    "anyOf": [{"required": [FILE_FIELD]}, {"required": [FILES_FIELD]}],
    "properties": {
        FILE_FIELD: {**BINARY, "description": "One file."},
        FILES_FIELD: {"type": "array", "items": BINARY, "maxItems": MAX_FILES, "description": "Several files."},
    },
    "additionalProperties": False,
}
BODY = {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": FORM}}}}


@router.post(
    "",
    status_code=201,
    response_model=Uploaded | UploadedFiles,
    response_description="The stored file; for several files, the result for each.",
    openapi_extra={**LOGIN_REQUIRED, **BODY},
)
@limits.upload
@cost(50)
async def upload(request: Request) -> Response:
    """Store one file, sent as `file`, or up to ten files, sent as `files`.

    Each of several files is stored or rejected by itself.
    """
    app_state = get_state(request)
    async with AsyncExitStack() as stack:
        parts = await parse_upload(request, app_state.settings.upload_max_bytes, app_state.upload_dir, stack)
        if parts[0].name == FILE_FIELD:
            body: Any = {"success": True, **to_json(await store_part(request, parts[0]))}
        else:
            body = {"files": await store_parts(request, parts)}
    return json_response(orjson.dumps(body), 201, NO_STORE)


async def store_part(request: Request, part: UploadedPart) -> Upload:
    if part.error is not None:
        raise part.error
    app_state = get_state(request)
    allowed = [FILE_TYPES[name] for name in app_state.settings.upload_types]
    return await uploads.store(get_context(request), app_state.storage, part.received_file, allowed)


async def store_parts(request: Request, parts: Sequence[UploadedPart]) -> list[dict[str, Any]]:
    """Return the result for each file. Raises `Unavailable` if none could be stored, so that clients retry."""
    results, errors = [], []
    for part in parts:
        try:
            results.append(to_json(await store_part(request, part)))
        except APIError as error:
            errors.append(error)
            results.append({"filename": part.filename, "error": error.message, "code": error.code})
    if len(errors) == len(parts) and isinstance(errors[-1], Unavailable):
        raise errors[-1]
    return results


def to_json(upload: Upload) -> dict[str, Any]:
    return {
        "id": upload.id,
        "url": uploads.URL_PREFIX + upload.name,
        "filename": upload.filename,
        "size": upload.size,
        "type": upload.content_type,
    }
