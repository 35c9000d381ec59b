"""Files out of a multipart body, as they come: a piece in memory at a time, the rest in files without a name."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO, NoReturn

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from models.errors import PayloadTooLarge, Refusal, Unavailable, UnsupportedMediaType, ValidationError
from resolvers.filenames import cleaned
from resolvers.uploads import Received

logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it would note what clients are told, with their bytes

ONE, SEVERAL = "file", "files"
MOST_FILES = 10
MOST_HEADER, MOST_HEADERS = 16 * 1024, 8
"""Of one part: a filename may be long, and more than is kept of it is of no use."""
BATCH = 2**18
"""Bytes that are written at once."""


def most_bytes(of_a_file: int) -> int:
    """What a whole body may have."""
    return MOST_FILES * (of_a_file + 2 * MOST_HEADER)


@dataclass(slots=True)
class Part:
    """One file of a body: what came of it, or why it was refused."""

    name: str
    filename: str
    claimed: str
    file: BinaryIO
    size: int = 0
    refusal: Refusal | None = None
    waiting: list[bytes] = field(default_factory=list)

    @property
    def received(self) -> Received:
        return Received(self.file, self.size, self.filename, self.claimed)


class Form:
    """A body that is being read. Refuses at once what cannot become right any more."""

    def __init__(self, boundary: bytes, most: int, make_file: Callable[[], BinaryIO]) -> None:
        self.most, self.make_file = most, make_file
        self.parts: list[Part] = []
        self.headers: dict[bytes, bytes] = {}
        self.header, self.value = b"", b""
        self.ended = False
        told = {name: getattr(self, name) for name in dir(self) if name.startswith("on_")}
        self.parser = MultipartParser(boundary, told, max_header_count=MOST_HEADERS, max_header_size=MOST_HEADER)

    async def read(self, body: AsyncIterator[bytes]) -> list[Part]:
        waiting = 0
        async for piece in body:
            self.parser.write(piece)
            waiting += len(piece)
            if waiting >= BATCH:
                await self.write()
                waiting = 0
        await self.write()
        self.check_end()
        return self.parts

    async def write(self) -> None:
        for part in self.parts:
            if part.waiting:
                batch, part.waiting = b"".join(part.waiting), []
                await asyncio.to_thread(write_all, part.file, batch)

    def check_end(self) -> None:
        if not self.ended:
            raise ValidationError("The body ends before its last boundary")
        if not self.parts:
            raise ValidationError.of(file="Field required")

    def on_part_begin(self) -> None:
        self.headers = {}

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self.header += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self.value += data[start:end]

    def on_header_end(self) -> None:
        self.headers[self.header.lower()] = self.value
        self.header = self.value = b""

    def on_headers_finished(self) -> None:
        disposition, options = parse_options_header(self.headers.get(b"content-disposition"))
        name = options.get(b"name", b"").decode(errors="replace")
        filename = options.get(b"filename")
        if disposition != b"form-data":
            raise ValidationError("Each part needs its Content-Disposition: form-data")
        if name not in (ONE, SEVERAL):
            raise ValidationError(details={name[:100] or "body": ["Extra inputs are not permitted"]})
        if not filename:
            refuse(name, "must be a file, with its filename")
        self.check_number(name)
        claimed = self.headers.get(b"content-type", b"").decode("latin-1")
        self.parts.append(Part(name, cleaned(filename.decode(errors="replace")), claimed, self.make_file()))

    def check_number(self, name: str) -> None:
        if any(part.name != name for part in self.parts):
            refuse(name, f"{ONE} and {SEVERAL} cannot be given together")
        if name == ONE and self.parts:
            refuse(name, f"must be one file; several are sent as {SEVERAL}")
        if len(self.parts) == MOST_FILES:
            refuse(name, f"may be {MOST_FILES} at most")

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        part = self.parts[-1]
        part.size += end - start
        if part.refusal is not None:
            return
        if part.size > self.most:
            self.refuse_size(part)
        else:
            part.waiting.append(data[start:end])

    def refuse_size(self, part: Part) -> None:
        """One file that is too large ends the request; among several, it is passed over."""
        part.refusal = PayloadTooLarge(f"A file may have at most {self.most:,} bytes", {"maxBytes": self.most})
        part.waiting = []
        if part.name == ONE:
            raise part.refusal
        part.file.truncate(0)

    def on_end(self) -> None:
        self.ended = True


def write_all(file: BinaryIO, batch: bytes) -> None:
    """A full disk is no fault of the client's, nor of ours for long."""
    waiting = memoryview(batch)
    try:
        while waiting:
            waiting = waiting[file.write(waiting) :]
    except OSError as error:
        raise Unavailable from error


def refuse(name: str, words: str) -> NoReturn:
    raise ValidationError(details={name: [words]})


async def parts_of(request: Request, most: int, folder: Path | None, stack: AsyncExitStack) -> list[Part]:
    """The files of a request, which are gone when the stack is left, or the process ends."""

    def make_file() -> Any:
        return stack.enter_context(TemporaryFile(buffering=0, dir=folder))  # looked at through `mmap` too

    boundary = boundary_of(request.headers.get("content-type"))
    try:
        return await Form(boundary, most, make_file).read(request.stream())
    except FormParserError as error:
        raise ValidationError("The body is not well-formed multipart/form-data") from error


def boundary_of(content_type: str | None) -> bytes:
    name, options = parse_options_header(content_type)
    if name != b"multipart/form-data":
        raise UnsupportedMediaType("The body is multipart/form-data")
    boundary = options.get(b"boundary")
    if not boundary:
        raise ValidationError("The Content-Type names no boundary")
    return boundary
