"""Files in, over plain HTTP."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway import limits
from gateway.auth.request import get_context
from gateway.rest.framework import responses
from gateway.rest.framework.multipart import MOST_FILES, ONE, SEVERAL, Part, parts_of
from gateway.rest.framework.openapi import SIGNED_IN, WITH_BODY, refusals
from gateway.rest.framework.routing import costs, router_of
from gateway.rest.framework.schemas import Uploaded, UploadedFiles
from gateway.wiring import get_state
from models import Upload
from models.errors import Refusal, Unavailable
from resolvers import uploads
from resolvers.images.file_types import KINDS

PATH = "/api/upload"

router = router_of(PATH, "Uploads")

BINARY = {"type": "string", "format": "binary"}
FORM = {  # on the wire an empty list of files is nothing at all, so the schema cannot forbid one beside `file`
    "type": "object",
    "anyOf": [{"required": [ONE]}, {"required": [SEVERAL]}],
    "properties": {
        ONE: {**BINARY, "description": "One file."},
        SEVERAL: {"type": "array", "items": BINARY, "maxItems": MOST_FILES, "description": "Several."},
    },
    "additionalProperties": False,
}
BODY = {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": FORM}}}}


@router.post(
    "",
    status_code=201,
    response_model=Uploaded | UploadedFiles,
    responses=refusals(*WITH_BODY),
    openapi_extra={**SIGNED_IN, **BODY},
)
@limits.upload
@costs(50)
async def upload(request: Request) -> Response:
    """Keep one file, as `file`, or up to ten as `files`, each of which is kept or refused by itself."""
    gateway = get_state(request)
    async with AsyncExitStack() as stack:
        parts = await parts_of(request, gateway.settings.upload_max_bytes, gateway.spool, stack)
        if parts[0].name == ONE:
            answer: Any = {"success": True, **told(await kept(request, parts[0]))}
        else:
            answer = {"files": await each(request, parts)}
    return responses.json(orjson.dumps(answer), 201, responses.NO_STORE)


async def kept(request: Request, part: Part) -> Upload:
    if part.refusal is not None:
        raise part.refusal
    gateway = get_state(request)
    allowed = [KINDS[name] for name in gateway.settings.upload_types]
    return await uploads.keep(get_context(request), gateway.storage, part.received, allowed)


async def each(request: Request, parts: Sequence[Part]) -> list[dict[str, Any]]:
    """What became of each file; while storage or database is away and nothing is kept, the request may be repeated."""
    entries, refused = [], []
    for part in parts:
        try:
            entries.append(told(await kept(request, part)))
        except Refusal as refusal:
            refused.append(refusal)
            entries.append({"filename": part.filename, "error": refusal.message, "code": refusal.code})
    if len(refused) == len(parts) and isinstance(refused[-1], Unavailable):
        raise refused[-1]
    return entries


def told(upload: Upload) -> dict[str, Any]:
    return {
        "id": upload.id,
        "url": uploads.FOLDER + upload.name,
        "filename": upload.filename,
        "size": upload.size,
        "type": upload.content_type,
    }
