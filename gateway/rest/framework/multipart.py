"""A streaming parser of multipart/form-data. Files go to unnamed temporary files; one chunk at a time is in memory."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from models.errors import APIError, PayloadTooLarge, Unavailable, UnsupportedMediaType, ValidationError
from resolvers.filenames import sanitize
from resolvers.uploads import ReceivedFile

logging.getLogger("python_multipart").setLevel(logging.ERROR)  # its warnings quote bytes of the client's body

FILE_FIELD, FILES_FIELD = "file", "files"
MAX_FILES = 10
MAX_PART_HEADER_BYTES, MAX_PART_HEADERS = 16 * 1024, 8
WRITE_BATCH_BYTES = 2**18


def max_body_bytes(max_file_bytes: int) -> int:
    """Return how long a request with the maximum number of files may be."""
    return MAX_FILES * (max_file_bytes + 2 * MAX_PART_HEADER_BYTES)


@dataclass(slots=True)
class UploadedPart:
    """One file of a request, or the error that it was rejected with."""

    name: str
    """Name of the form field."""
    filename: str
    declared_type: str
    """Its `Content-Type`, which nothing has verified."""
    file: BinaryIO
    size: int = 0
    error: APIError | None = None
    pending: list[bytes] = field(default_factory=list)
    """Chunks that are not yet written to `file`."""

    @property
    def received_file(self) -> ReceivedFile:
        return ReceivedFile(self.file, self.size, self.filename, self.declared_type)


class UploadParser:
    """Parses one body. Raises as soon as the body can no longer be valid.

    The `on_…` methods are python-multipart's callbacks.
    """

    def __init__(self, boundary: bytes, max_file_bytes: int, create_file: Callable[[], BinaryIO]) -> None:
        self.max_file_bytes, self.create_file = max_file_bytes, create_file
        self.parts: list[UploadedPart] = []
        self.headers: dict[bytes, bytes] = {}
        self.header_name, self.header_value = b"", b""
        self.has_ended = False
        callbacks = {name: getattr(self, name) for name in dir(self) if name.startswith("on_")}
        self.parser = MultipartParser(
            boundary, callbacks, max_header_count=MAX_PART_HEADERS, max_header_size=MAX_PART_HEADER_BYTES
        )

    async def parse(self, body: AsyncIterator[bytes]) -> list[UploadedPart]:
        pending_bytes = 0
        async for chunk in body:
            self.parser.write(chunk)
            pending_bytes += len(chunk)
            if pending_bytes >= WRITE_BATCH_BYTES:
                await self.write_pending()
                pending_bytes = 0
        await self.write_pending()
        if not self.has_ended:
            raise ValidationError("The body ends before its last boundary")
        if not self.parts:
            raise ValidationError.for_fields(file="Field required")
        return self.parts

    async def write_pending(self) -> None:
        for part in self.parts:
            if part.pending:
                batch, part.pending = b"".join(part.pending), []
                await asyncio.to_thread(write_all, part.file, batch)

    def on_part_begin(self) -> None:
        self.headers = {}

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self.header_name += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self.header_value += data[start:end]

    def on_header_end(self) -> None:
        self.headers[self.header_name.lower()] = self.header_value
        self.header_name = self.header_value = b""

    def on_headers_finished(self) -> None:
        disposition, options = parse_options_header(self.headers.get(b"content-disposition"))
        name = options.get(b"name", b"").decode(errors="replace")
        filename = options.get(b"filename")
        if disposition != b"form-data":
            raise ValidationError("Each part must have the header Content-Disposition: form-data")
        if name not in (FILE_FIELD, FILES_FIELD):
            raise invalid_field(name[:100] or "body", "Extra inputs are not permitted")
        if not filename:
            raise invalid_field(name, "must be a file, with a filename")
        self.check_part_count(name)
        declared_type = self.headers.get(b"content-type", b"").decode("latin-1")
        filename = sanitize(filename.decode(errors="replace"))
        self.parts.append(UploadedPart(name, filename, declared_type, self.create_file()))

    def check_part_count(self, name: str) -> None:
        if any(part.name != name for part in self.parts):
            raise invalid_field(name, f"cannot be combined: send either {FILE_FIELD} or {FILES_FIELD}")
        if name == FILE_FIELD and self.parts:
            raise invalid_field(name, f"must be one file; send several as {FILES_FIELD}")
        if len(self.parts) == MAX_FILES:
            raise invalid_field(name, f"must be at most {MAX_FILES} files")

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        part = self.parts[-1]
        part.size += end - start
        if part.error is not None:
            return
        if part.size > self.max_file_bytes:
            self.reject_size(part)
        else:
            part.pending.append(data[start:end])

    def reject_size(self, part: UploadedPart) -> None:
        """Reject the request if the part is its only file; of several files, reject this one."""
        limit = self.max_file_bytes
        part.error = PayloadTooLarge(f"A file may have at most {limit:,} bytes", {"maxBytes": limit})
        part.pending = []
        if part.name == FILE_FIELD:
            raise part.error
        part.file.truncate(0)

    def on_end(self) -> None:
        self.has_ended = True


def write_all(file: BinaryIO, batch: bytes) -> None:
    """Write all bytes to an unbuffered file. Raises `Unavailable` if the disk is full."""
    remaining = memoryview(batch)
    try:
        while remaining:
            remaining = remaining[file.write(remaining) :]
    except OSError as error:
        raise Unavailable from error


def invalid_field(name: str, message: str) -> ValidationError:
    return ValidationError(details={name: [message]})


async def parse_upload(
    request: Request, max_file_bytes: int, folder: Path | None, stack: AsyncExitStack
) -> list[UploadedPart]:
    """Return the files of a request. `stack` closes, and thereby deletes, their temporary files in `folder`.

    Raises `UnsupportedMediaType` if the body is not multipart/form-data, `PayloadTooLarge` if a single file is too
    large, and `ValidationError` if the body is invalid.
    """

    def create_file() -> Any:
        return stack.enter_context(TemporaryFile(buffering=0, dir=folder))  # unbuffered, because it is also mapped

    boundary = parse_boundary(request.headers.get("content-type"))
    try:
        return await UploadParser(boundary, max_file_bytes, create_file).parse(request.stream())
    except FormParserError as error:
        raise ValidationError("The body is not valid multipart/form-data") from error


def parse_boundary(content_type: str | None) -> bytes:
    name, options = parse_options_header(content_type)
    if name != b"multipart/form-data":
        raise UnsupportedMediaType("The body must be multipart/form-data")
    boundary = options.get(b"boundary")
    if not boundary:
        raise ValidationError("The Content-Type has no boundary")
    return boundary
