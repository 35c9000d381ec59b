"""Detect the type of an uploaded file by its content, and reject files whose declared type is another one."""

import mimetypes
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

import puremagic

from models.errors import UnsupportedMediaType, ValidationError


@dataclass(frozen=True, slots=True)
class FileType:
    """A type of file that can be uploaded."""

    name: str
    media_type: str
    suffix: str
    pillow_format: str | None = None
    """Pillow's name of the format, if it is an image."""


FILE_TYPES = {
    file_type.name: file_type
    for file_type in (
        FileType("jpeg", "image/jpeg", ".jpg", "JPEG"),
        FileType("png", "image/png", ".png", "PNG"),
        FileType("webp", "image/webp", ".webp", "WEBP"),
        FileType("gif", "image/gif", ".gif", "GIF"),
        FileType("avif", "image/avif", ".avif", "AVIF"),
        FileType("pdf", "application/pdf", ".pdf"),
    )
}
BY_MEDIA_TYPE = {file_type.media_type: file_type for file_type in FILE_TYPES.values()}

HEAD_BYTES, TAIL_BYTES = 8_192, 65_558
"""The head has the signature of the format; the tail may have the directory of a ZIP archive with a comment of the
maximum length."""
SNIFFED_BYTES = 1_445
"""Bytes that browsers inspect to guess a type (WHATWG MIME Sniffing, section 5.2)."""

ALIASES = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "application/x-pdf": "application/pdf",
}
UNSPECIFIED = ("", "application/octet-stream", "binary/octet-stream")
EXTENSIONS = mimetypes.MimeTypes()
"""Python's own table, which does not depend on the files of this machine."""
for extension, media_type in {
    ".avif": "image/avif",
    ".webp": "image/webp",
    ".jfif": "image/jpeg",
    ".exe": "application/x-msdownload",
    ".dll": "application/x-msdownload",
}.items():
    EXTENSIONS.add_type(media_type, extension)

MARKUP = re.compile(rb"<(?:!doctype|html|head|body|script|iframe|svg|\?php)", re.IGNORECASE)
ZIP_DIRECTORY_END = b"PK\5\6"


def detect(head: bytes, allowed: Sequence[FileType]) -> FileType:
    """Return the type of a file by its first bytes. Raise `UnsupportedMediaType` if it is not allowed."""
    try:
        media_type = puremagic.from_string(head[:HEAD_BYTES], mime=True)
    except (puremagic.PureError, ValueError):
        media_type = ""
    file_type = BY_MEDIA_TYPE.get(media_type)
    if file_type not in allowed:
        raise unsupported_type(f"{media_type or 'This type of file'} is not accepted", allowed)
    return file_type


def check_declared_type(file_type: FileType, filename: str, declared_type: str, allowed: Sequence[FileType]) -> None:
    """Raise `UnsupportedMediaType` if the declared media type or the filename's extension contradicts the content."""
    for declared in (declared_type, type_by_extension(filename)):
        media_type = declared.partition(";")[0].strip().lower()
        if media_type not in UNSPECIFIED and ALIASES.get(media_type, media_type) != file_type.media_type:
            message = f"The file is declared as {media_type[:100]}, but its content is {file_type.media_type}"
            raise unsupported_type(message, allowed)


def type_by_extension(filename: str) -> str:
    """Return the media type of a filename's extension; `""` if the extension is unknown."""
    media_type, encoding = EXTENSIONS.guess_type(filename.lower(), strict=False)
    return f"application/{encoding}" if encoding else media_type or ""


def reject_polyglots(file_type: FileType, file: BinaryIO, size: int, allowed: Sequence[FileType]) -> None:
    """Raise `UnsupportedMediaType` if another program could take the file for markup, a PDF or a ZIP archive.

    Raise `ValidationError` if a PDF is truncated.
    """
    file.seek(0)
    start = file.read(SNIFFED_BYTES)
    file.seek(max(0, size - TAIL_BYTES))
    tail = file.read(TAIL_BYTES)
    other = None
    if MARKUP.search(start):
        other = "markup"
    elif file_type.pillow_format and b"%PDF-" in start:
        other = "a PDF document"
    elif has_zip_directory(tail, size - len(tail)):
        other = "a ZIP archive"
    if other:
        raise unsupported_type(f"The file is both {file_type.media_type} and {other}", allowed)
    if file_type.name == "pdf" and b"%%EOF" not in tail[-2048:]:
        raise ValidationError.for_fields(file="The document is truncated")


def has_zip_directory(tail: bytes, tail_offset: int) -> bool:
    """Return whether a ZIP archive's directory ends in the tail, and fits into the file before it."""
    position = tail.rfind(ZIP_DIRECTORY_END)
    while position >= 0:
        if position + 22 <= len(tail):
            length, offset = struct.unpack_from("<II", tail, position + 12)
            if length + offset <= tail_offset + position:
                return True
        position = tail.rfind(ZIP_DIRECTORY_END, 0, position)
    return False


def unsupported_type(message: str, allowed: Sequence[FileType]) -> UnsupportedMediaType:
    """Build an error that lists the accepted media types."""
    names = [file_type.media_type for file_type in allowed]
    return UnsupportedMediaType(f"{message}. Accepted types: {', '.join(names)}", {"accepted": names})
