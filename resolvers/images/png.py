"""PNG specifics that Pillow lacks: whether all rows are there, and copying the chunks that define colours."""

import struct
import zlib
from mmap import ACCESS_READ, mmap
from typing import BinaryIO

from PIL.PngImagePlugin import PngInfo

from resolvers.images.structure import iter_png_chunks

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Samples of a pixel, by colour type."""
NON_INTERLACED = ((0, 0, 1, 1),)
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""The passes of an image: the column and row where each begins, and its horizontal and vertical steps."""
BUFFER_BYTES = 2**16
COLOR_CHUNKS = (b"cHRM", b"cICP", b"gAMA", b"sRGB")


def check_scanlines(file: BinaryIO) -> None:
    """Raise `ValueError` if the image data of a PNG end before its last row. Its chunks must be valid.

    If the zlib stream ends properly, decoders fill in missing rows without an error.
    """
    with mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        width, height, depth, color_type, _, _, interlaced = struct.unpack_from(">IIBBBBB", data, 16)
        bits = depth * CHANNELS[color_type]
        missing = sum(pass_size(width, height, bits, *each) for each in (ADAM7 if interlaced else NON_INTERLACED))
        decompressor = zlib.decompressobj()
        for chunk in iter_png_chunks(data):
            if chunk.type != b"IDAT":
                continue
            for start in range(chunk.content.start, chunk.content.stop, BUFFER_BYTES):
                compressed = data[start : min(start + BUFFER_BYTES, chunk.content.stop)]
                while compressed and missing > 0:
                    missing -= len(decompressor.decompress(compressed, BUFFER_BYTES))
                    compressed = decompressor.unconsumed_tail
        if missing > len(decompressor.flush()):
            raise ValueError("rows are missing")


def pass_size(width: int, height: int, bits: int, left: int, top: int, column_step: int, row_step: int) -> int:
    """Return the size in bytes of one pass: each row has a byte for its filter and `bits` for each pixel."""
    columns, rows = -(-(width - left) // column_step), -(-(height - top) // row_step)
    return rows * (1 + -(-columns * bits // 8)) if columns > 0 and rows > 0 else 0


def read_color_chunks(file: BinaryIO) -> PngInfo:
    """Return the chunks that define the colour space of a PNG, in the form that Pillow can save."""
    chunks = PngInfo()
    with mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        for chunk in iter_png_chunks(data):
            if chunk.type in COLOR_CHUNKS:
                chunks.add(chunk.type, data[chunk.content])
    return chunks
