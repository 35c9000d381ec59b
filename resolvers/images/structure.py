"""Walk the segments of an image file, and reject a file that has more of them than an image needs.

Decoders do work for each segment, so a small hostile file of many segments could cost seconds of CPU time. Each walker
raises an exception of `decoding.DECODE_ERRORS` if the file is malformed, and reads nothing after the end of the image.
"""

import re
import struct
from collections import Counter
from collections.abc import Iterator
from mmap import mmap
from typing import NamedTuple

Buffer = bytes | mmap

JPEG_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")
"""Not 0xFF00 and the restart markers, which belong to the entropy-coded data of a scan."""
SOI, EOI, SOS = b"\xd8", b"\xd9", b"\xda"
FRAME_MARKERS = frozenset(bytes([marker]) for marker in range(0xC0, 0xD0)) - {b"\xc4", b"\xc8", b"\xcc"}
INVALID_MARKERS = frozenset(bytes([marker]) for marker in (*range(0x01, 0xC0), 0xC8, 0xD8, *range(0xF0, 0xFE)))

MAX_JPEG_SCANS = 50
"""Each scan makes the decoder pass over the whole image. Encoders write ten to twenty."""
MAX_JPEG_SEGMENTS = 1_000
"""Long XMP needs many, of 64 KiB each."""
MAX_JPEG_PADDING_BYTES = 2**16
"""Bytes between segments."""
MAX_PNG_CHUNKS, MAX_PNG_METADATA_CHUNKS = 20_000, 100
"""Encoders write as little as 8 KiB of image data in a chunk, and a few chunks of metadata."""
PNG_DATA_CHUNKS = (b"IDAT", b"fdAT", b"fcTL")
MAX_RIFF_CHUNKS, MAX_GIF_BLOCKS, MAX_BOXES = 5_000, 5_000, 5_000
"""An animation may have `decoding.MAX_FRAMES`, of a few chunks or blocks each."""


class Segment(NamedTuple):
    """A segment, chunk, block or box: all of it, and the content after its header."""

    type: bytes
    whole: slice
    content: slice


def iter_jpeg_segments(data: Buffer) -> Iterator[Segment]:
    """Yield the segments of a JPEG's first image (ITU-T T.81, annex B); the data of a scan belong to its segment."""
    yield Segment(SOI, slice(0, 2), slice(2, 2))
    position, padding, counts = 2, 0, Counter[str]()
    while found := JPEG_MARKER.search(data, position):
        marker, start = found[1], found.start()
        padding += start - position
        counts.update(segments=1, scans=marker == SOS, frames=marker in FRAME_MARKERS)
        if marker in INVALID_MARKERS or counts["segments"] > MAX_JPEG_SEGMENTS or padding > MAX_JPEG_PADDING_BYTES:
            raise ValueError("invalid or too many segments")
        if counts["scans"] > MAX_JPEG_SCANS or counts["frames"] > 1:
            raise ValueError("too many scans or frames")
        if marker == EOI:
            yield Segment(EOI, slice(start, start + 2), slice(start + 2, start + 2))
            break
        position = start + 2 + max(2, int.from_bytes(data[start + 2 : start + 4], "big"))
        if marker == SOS:
            following = JPEG_MARKER.search(data, position)
            position = following.start() if following else len(data)
        yield Segment(marker, slice(start, position), slice(start + 4, position))
    if not counts["scans"] or not counts["frames"]:
        raise ValueError("no frame or no scan")


def iter_png_chunks(data: Buffer) -> Iterator[Segment]:
    """Yield the chunks of a PNG, from `IHDR` to `IEND` (PNG specification, section 5.3)."""
    position, chunks, metadata, chunk_type = 8, 0, 0, b""
    while chunk_type != b"IEND":
        length, chunk_type = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        chunks, metadata = chunks + 1, metadata + (chunk_type not in PNG_DATA_CHUNKS)
        if end > len(data) or chunks > MAX_PNG_CHUNKS or metadata > MAX_PNG_METADATA_CHUNKS:
            raise ValueError("truncated or too many chunks")
        yield Segment(chunk_type, slice(position, end), slice(position + 8, end - 4))
        position = end


def iter_riff_chunks(data: Buffer, position: int, end: int) -> Iterator[Segment]:
    """Yield the RIFF chunks between two offsets of a WebP (RFC 9649, section 2.3)."""
    for _ in range(MAX_RIFF_CHUNKS):
        if position >= end:
            return
        chunk_type, length = struct.unpack_from("<4sI", data, position)
        content = slice(position + 8, position + 8 + length)
        if content.stop > min(end, len(data)):
            raise ValueError("truncated chunk")
        whole = slice(position, min(end, content.stop + length % 2))
        yield Segment(chunk_type, whole, content)
        position = whole.stop
    raise ValueError("too many chunks")


def iter_gif_blocks(data: Buffer) -> Iterator[Segment]:
    """Yield the blocks of a GIF (GIF89a specification).

    The type is `b"GIF"` for the header with its colour table, otherwise the introducer; for extensions, with the label.
    """
    position = 13 + gif_color_table_size(data[10])
    yield Segment(b"GIF", slice(0, position), slice(6, position))
    for _ in range(MAX_GIF_BLOCKS):
        start, introducer = position, data[position : position + 1]
        if introducer == b";":
            yield Segment(introducer, slice(start, start + 1), slice(start + 1, start + 1))
            return
        if introducer == b"!":
            introducer, content = data[start : start + 2], start + 2
        elif introducer == b",":
            content = start + 11 + gif_color_table_size(data[start + 9])
        else:
            raise ValueError("unknown block")
        position = content
        while length := data[position]:
            position += 1 + length
        position += 1
        yield Segment(introducer, slice(start, position), slice(content, position))
    raise ValueError("too many blocks")


def gif_color_table_size(flags: int) -> int:
    """Return the size in bytes of the colour table that these packed fields announce."""
    return 3 * 2 ** (flags % 8 + 1) if flags & 0x80 else 0


def iter_boxes(data: Buffer, position: int, end: int) -> Iterator[Segment]:
    """Yield the boxes between two offsets of an AVIF (ISO/IEC 14496-12, section 4.2)."""
    for _ in range(MAX_BOXES):
        if position >= end:
            return
        size, box_type = struct.unpack_from(">I4s", data, position)
        header = 8
        if size == 1:
            (size,), header = struct.unpack_from(">Q", data, position + 8), 16
        elif size == 0:
            size = end - position
        if size < header or position + size > end:
            raise ValueError("truncated box")
        yield Segment(box_type, slice(position, position + size), slice(position + header, position + size))
        position += size
    raise ValueError("too many boxes")
