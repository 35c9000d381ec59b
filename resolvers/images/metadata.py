"""Rewrite an image file so that it keeps only what is needed to show it.

Kept are the coded pixels, byte for byte, the orientation and an ICC profile that fits the colour space. Dropped is
everything else: Exif, XMP, IPTC, comments, text, thumbnails, unknown segments and data after the end of the image.
Pillow can drop metadata only by encoding the pixels again, which for JPEG loses quality.
"""

import struct
import sys
import zlib
from collections.abc import Callable
from mmap import mmap
from typing import BinaryIO

from PIL import ExifTags, Image

from resolvers.images.avif import strip_avif
from resolvers.images.file_types import FileType
from resolvers.images.icc import ICC_HEADER, decompress_profile, has_fitting_jpeg_profile, is_fitting_profile
from resolvers.images.structure import (
    EOI,
    FRAME_MARKERS,
    SOI,
    SOS,
    iter_gif_blocks,
    iter_jpeg_segments,
    iter_png_chunks,
    iter_riff_chunks,
)

JPEG_SEGMENTS = FRAME_MARKERS | {SOI, EOI, SOS, b"\xc4", b"\xcc", b"\xdb", b"\xdd"}
"""Frames, scans, and the tables that decoding them needs: DHT, DAC, DQT and DRI."""
JFIF_HEADER, EXIF_HEADER, ADOBE_HEADER = b"JFIF\0", b"Exif\0\0", b"Adobe"
JPEG_HEADERS = {b"\xe0": JFIF_HEADER, b"\xe1": EXIF_HEADER, b"\xe2": ICC_HEADER, b"\xee": ADOBE_HEADER}
"""Application segments of which a part is kept: APP0, APP1, APP2 and APP14."""
PNG_CHUNKS = {
    b"IHDR": 13,
    b"PLTE": 768,
    b"IDAT": sys.maxsize,
    b"IEND": 0,
    b"tRNS": 256,
    b"cHRM": 32,
    b"gAMA": 4,
    b"sRGB": 1,
    b"sBIT": 4,
    b"cICP": 4,
    b"mDCV": 24,
    b"cLLI": 8,
    b"bKGD": 6,
    b"pHYs": 9,
    b"acTL": 8,
    b"fcTL": 26,
    b"fdAT": sys.maxsize,
}
"""Chunks that affect how an image is shown, with their maximum length in bytes."""
WEBP_CHUNKS = (b"VP8 ", b"VP8L", b"ALPH", b"ANIM")
VP8X_ICC, VP8X_EXIF, VP8X_KEPT = 0x20, 0x08, 0x12
"""Flags of a WebP's header; kept are those for transparency and animation."""

GIF_BLOCKS = {b"GIF": sys.maxsize, b",": sys.maxsize, b";": 1, b"!\xf9": 8}
"""Blocks that affect how an image is shown, with their maximum length in bytes."""
GIF_LOOPS = (b"!\xff\x0bNETSCAPE2.0\3\1", b"!\xff\x0bANIMEXTS1.0\3\1")

Piece = bytes | slice
"""New bytes, or a part of the file as it is."""


def strip_metadata(file: BinaryIO, file_type: FileType) -> None:
    """Rewrite an image file in place without its metadata. Raise one of `DECODE_ERRORS` if it is malformed."""
    with mmap(file.fileno(), 0) as data:
        length = STRIPPERS[file_type.pillow_format](data)
        data.flush()
    file.truncate(length)


def move_to_front(data: mmap, pieces: list[Piece]) -> int:
    """Put pieces one after the other at the start of a file, and return their total length.

    New bytes are never longer than what they replace, so no piece is overwritten before it is moved.
    """
    end = 0
    for piece in pieces:
        length = length_of(piece)
        if isinstance(piece, bytes):
            data[end : end + length] = piece
        else:
            data.move(end, piece.start, length)
        end += length
    return end


def length_of(piece: Piece) -> int:
    return len(piece) if isinstance(piece, bytes) else piece.stop - piece.start


def minimal_exif(exif: bytes) -> bytes:
    """Return Exif of the same orientation with no other tag; `b""` if the image need not be turned or mirrored.

    Pillow writes one warning for each damaged tag that it reads, so only the 12 bytes of this tag are looked at.
    """
    tiff = exif.removeprefix(EXIF_HEADER)
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 26:  # the size of what is returned
        return b""
    (offset,) = struct.unpack_from(order + "I", tiff, 4)
    count = int.from_bytes(tiff[offset : offset + 2], "little" if order == "<" else "big")
    entries = tiff[offset + 2 : offset + 2 + 12 * count]
    for tag, _, _, value in struct.iter_unpack(order + "HHIH2x", entries[: len(entries) // 12 * 12]):
        if tag == ExifTags.Base.Orientation and 2 <= value <= 8:
            oriented = Image.Exif()
            oriented[tag] = value
            return oriented.tobytes().removeprefix(EXIF_HEADER)
    return b""


def strip_jpeg(data: mmap) -> int:
    segments = list(iter_jpeg_segments(data))
    keeps_profile = has_fitting_jpeg_profile(data, segments)
    pieces: list[Piece] = []
    seen = set()
    for segment in segments:
        if segment.type in JPEG_SEGMENTS:
            pieces.append(segment.whole)
            continue
        content, header = data[segment.content], JPEG_HEADERS.get(segment.type)
        if header is None or not content.startswith(header):
            continue
        if header == ICC_HEADER:
            pieces += [segment.whole] if keeps_profile else []
        elif header in seen:
            continue
        elif header == JFIF_HEADER and len(content) >= 14:  # without its thumbnail
            pieces.append(jpeg_segment(segment.type, content[:12] + b"\0\0"))
        elif header == ADOBE_HEADER and len(content) >= 12:
            pieces.append(jpeg_segment(segment.type, content[:12]))
        elif header == EXIF_HEADER and (exif := minimal_exif(content)):
            pieces.append(jpeg_segment(segment.type, EXIF_HEADER + exif))
        seen.add(header)
    return move_to_front(data, pieces)


def jpeg_segment(marker: bytes, content: bytes) -> bytes:
    return b"\xff" + marker + struct.pack(">H", 2 + len(content)) + content


def strip_png(data: mmap) -> int:
    pieces: list[Piece] = [slice(0, 8)]
    color_space = b"RGB " if data[25] & 2 else b"GRAY"
    seen = set()
    for chunk in iter_png_chunks(data):
        if length_of(chunk.content) <= PNG_CHUNKS.get(chunk.type, -1):
            pieces.append(chunk.whole)
        elif chunk.type in seen:
            continue
        elif chunk.type == b"iCCP" and is_fitting_profile(decompress_profile(data[chunk.content]), color_space):
            pieces.append(chunk.whole)
        elif chunk.type == b"eXIf" and (exif := minimal_exif(data[chunk.content])):
            checksum = struct.pack(">I", zlib.crc32(chunk.type + exif))
            pieces.append(struct.pack(">I", len(exif)) + chunk.type + exif + checksum)
        seen.add(chunk.type)
    return move_to_front(data, pieces)


def strip_webp(data: mmap) -> int:
    pieces: list[Piece] = []
    header, flags = None, 0
    for chunk in iter_riff_chunks(data, 12, 8 + int.from_bytes(data[4:8], "little")):
        if chunk.type in WEBP_CHUNKS:
            pieces.append(chunk.whole)
        elif chunk.type == b"ANMF":
            image = [
                part.whole
                for part in iter_riff_chunks(data, chunk.content.start + 16, chunk.content.stop)
                if part.type in WEBP_CHUNKS
            ]
            pieces.append(riff_header(chunk.type, 16 + sum(map(length_of, image))))
            pieces += [slice(chunk.content.start, chunk.content.start + 16), *image]
        elif chunk.type == b"VP8X" and not pieces and length_of(chunk.content) == 10:
            header, flags = data[chunk.content], data[chunk.content.start] & VP8X_KEPT
            pieces.append(b"")
        elif header is None:
            continue
        elif chunk.type == b"ICCP" and not flags & VP8X_ICC and is_fitting_profile(data[chunk.content], b"RGB "):
            flags |= VP8X_ICC
            pieces.append(chunk.whole)
        elif chunk.type == b"EXIF" and not flags & VP8X_EXIF and (exif := minimal_exif(data[chunk.content])):
            flags |= VP8X_EXIF
            pieces.append(riff_header(chunk.type, len(exif)) + exif)
    if header is not None:
        pieces[0] = riff_header(b"VP8X", len(header)) + bytes([flags]) + header[1:]
    return move_to_front(data, [riff_header(b"RIFF", 4 + sum(map(length_of, pieces))) + b"WEBP", *pieces])


def riff_header(chunk_type: bytes, length: int) -> bytes:
    return chunk_type + struct.pack("<I", length)


def strip_gif(data: mmap) -> int:
    pieces: list[Piece] = []
    for block in iter_gif_blocks(data):
        is_loop = block.type == b"!\xff" and length_of(block.whole) == 19 and data[block.whole].startswith(GIF_LOOPS)
        if is_loop or length_of(block.whole) <= GIF_BLOCKS.get(block.type, 0):
            pieces.append(block.whole)
    return move_to_front(data, pieces)


STRIPPERS: dict[str, Callable[[mmap], int]] = {
    "JPEG": strip_jpeg,
    "PNG": strip_png,
    "WEBP": strip_webp,
    "GIF": strip_gif,
    "AVIF": strip_avif,
}
"""By Pillow's name of the format. Each returns the new length in bytes."""
