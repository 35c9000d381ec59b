"""Which kind of file something is: its bytes say so, and what its sender says must not contradict them."""

import mimetypes
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

import puremagic

from models.errors import UnsupportedMediaType, ValidationError


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file that may be kept."""

    name: str
    media_type: str
    suffix: str
    format: str | None = None
    """What Pillow calls it, if it is a picture."""


KINDS = {
    kind.name: kind
    for kind in (
        Kind("jpeg", "image/jpeg", ".jpg", "JPEG"),
        Kind("png", "image/png", ".png", "PNG"),
        Kind("webp", "image/webp", ".webp", "WEBP"),
        Kind("gif", "image/gif", ".gif", "GIF"),
        Kind("avif", "image/avif", ".avif", "AVIF"),
        Kind("pdf", "application/pdf", ".pdf"),
    )
}
OF_MEDIA_TYPE = {kind.media_type: kind for kind in KINDS.values()}

HEAD, TAIL = 8_192, 65_558
"""Bytes to look at: what formats begin with, and where an archive's directory ends, its longest comment with it."""
SNIFFED = 1_445
"""Bytes that browsers look at when they guess at a type."""

SAME = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "application/x-pdf": "application/pdf",
}
NO_CLAIM = ("", "application/octet-stream", "binary/octet-stream")
ENDINGS = mimetypes.MimeTypes()
"""Python's own table, and not this machine's."""
for ending, media_type in {
    ".avif": "image/avif",
    ".webp": "image/webp",
    ".jfif": "image/jpeg",
    ".exe": "application/x-msdownload",
    ".dll": "application/x-msdownload",
}.items():
    ENDINGS.add_type(media_type, ending)

MARKUP = re.compile(rb"<(?:!doctype|html|head|body|script|iframe|svg|\?php)", re.IGNORECASE)
DIRECTORY_END = b"PK\5\6"


def sniffed(head: bytes, allowed: Sequence[Kind]) -> Kind:
    """The kind that the first bytes are of."""
    try:
        found = puremagic.from_string(head[:HEAD], mime=True)
    except (puremagic.PureError, ValueError):
        found = ""
    kind = OF_MEDIA_TYPE.get(found)
    if kind not in allowed:
        raise unsupported(f"{found or 'This kind of file'} is not accepted", allowed)
    return kind


def check_claims(kind: Kind, filename: str, claimed: str, allowed: Sequence[Kind]) -> None:
    """Refuses a file whose declared type, or whose name's ending, says something else than its bytes."""
    for claim in (claimed, by_name(filename)):
        said = claim.partition(";")[0].strip().lower()
        if said not in NO_CLAIM and SAME.get(said, said) != kind.media_type:
            raise unsupported(f"The file says that it is {said[:100]}, and is {kind.media_type}", allowed)


def by_name(filename: str) -> str:
    """What the ending of a name says; nothing, where nobody knows that ending."""
    found, encoding = ENDINGS.guess_type(filename.lower(), strict=False)
    return f"application/{encoding}" if encoding else found or ""


def check_single(kind: Kind, file: BinaryIO, size: int, allowed: Sequence[Kind]) -> None:
    """Refuses a file that is of two kinds at once, of which another program might see the other."""
    file.seek(0)
    start = file.read(SNIFFED)
    hidden = "markup" if MARKUP.search(start) else "a document" if kind.format and b"%PDF-" in start else None
    file.seek(max(0, size - TAIL))
    tail = file.read(TAIL)
    if hidden is None and ends_an_archive(tail, size - len(tail)):
        hidden = "an archive"
    if hidden:
        raise unsupported(f"The file is {kind.media_type} and {hidden} at once", allowed)
    if kind.name == "pdf" and b"%%EOF" not in tail[-2048:]:
        raise ValidationError.of(file="The document is cut short")
    if kind.name == "gif" and not tail.rstrip(b"\0\r\n").endswith(b";"):  # else the frames would seem to be fewer
        raise ValidationError.of(file="The picture is cut short")


def ends_an_archive(tail: bytes, before: int) -> bool:
    """Whether a ZIP archive's directory ends here, whose parts all stand before its end."""
    at = tail.rfind(DIRECTORY_END)
    while at >= 0:
        if at + 22 <= len(tail):
            length, offset = struct.unpack_from("<II", tail, at + 12)
            if length + offset <= before + at:
                return True
        at = tail.rfind(DIRECTORY_END, 0, at)
    return False


def unsupported(words: str, allowed: Sequence[Kind]) -> UnsupportedMediaType:
    names = [kind.media_type for kind in allowed]
    return UnsupportedMediaType(f"{words}; accepted are {', '.join(names)}", {"accepted": names})
