"""How much there is in a picture's file, counted before anything reads it: decoders take each part for serious."""

import re
import struct
from mmap import ACCESS_READ, mmap
from typing import Any, BinaryIO

from resolvers.images.file_types import Kind

MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")
"""What a part of a JPEG begins with. Zeros and restarts follow 0xFF within a scan's data, and end nothing."""
START, END, SCAN = 0xD8, 0xD9, 0xDA
FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
UNKNOWN = frozenset({*range(0x01, 0xC0), 0xC8, START, *range(0xF0, 0xFE)})

MOST_SCANS = 50
"""Each goes over the whole picture, however short it is. Programs write ten to twenty."""
MOST_PARTS = 1_000
"""Notes may need many, of 64 KiB each."""
MOST_EXIF = 2**20
"""Bytes; Pillow joins all of them, and copies what it has at each."""
MOST_BETWEEN = 2**16
"""Bytes that belong to nothing, which Pillow reads one by one."""

DATA = (b"IDAT", b"fdAT", b"fcTL")
MOST_DATA, MOST_NOTES = 20_000, 100
"""Chunks of a PNG: programs write 8 KiB of data in each, and a few notes, of which each may be unpacked to a MiB."""


def check(file: BinaryIO, kind: Kind) -> None:
    """Raises `ValueError` where a file has more parts than a picture needs."""
    if kind.format in CHECKS:
        with mmap(file.fileno(), 0, access=ACCESS_READ) as data:
            CHECKS[kind.format](data)


def check_jpeg(data: Any) -> None:
    """The first picture's parts; further ones in the same file are not decoded."""
    at, parts, scans, frames, exif, between = 2, 0, 0, 0, 0, 0
    while (found := MARKER.search(data, at)) and found[1][0] != END:
        marker, length = found[1][0], int.from_bytes(data[found.end() : found.end() + 2], "big")
        parts, scans, frames = parts + 1, scans + (marker == SCAN), frames + (marker in FRAMES)
        if marker in UNKNOWN or parts > MOST_PARTS or scans > MOST_SCANS or frames > 1:
            raise ValueError("more parts than a picture needs, or others")
        if not scans:
            exif += length * (data[found.end() + 2 : found.end() + 6] == b"Exif")
            between += found.start() - at
        if exif > MOST_EXIF or between > MOST_BETWEEN:
            raise ValueError("more notes than a picture needs")
        at = found.end() + max(2, length)
    if not scans:
        raise ValueError("no picture")


def check_png(data: Any) -> None:
    """What stands behind the end is nobody's."""
    at, parts, notes, name = 8, 0, 0, b""
    while at + 8 <= len(data) and name != b"IEND":
        length, name = struct.unpack_from(">I4s", data, at)
        parts, notes = parts + 1, notes + (name not in DATA)
        if parts > MOST_DATA or notes > MOST_NOTES:
            raise ValueError("more chunks than a picture needs")
        at += 12 + length


CHECKS = {"JPEG": check_jpeg, "PNG": check_png}
