"""How many rows a PNG has: decoders fill up what is missing, and call it whole, once its stream of data has an end."""

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Values of a pixel, by the types of colour."""
WHOLE = ((0, 0, 1, 1),)
INTERLACED = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""The passes that a picture comes in: where each begins, and its steps."""
PIECE = 2**16


def check_all_there(file: BinaryIO) -> None:
    """Raises `ValueError` where a PNG's data end before its last row. Its chunks were verified before."""
    file.seek(16)
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", file.read(13))
    bits = depth * CHANNELS[colour]
    missing = sum(size_of(width, height, bits, *each) for each in (INTERLACED if interlaced else WHOLE))
    inflating = zlib.decompressobj()
    for piece in data_of(file):
        while piece and missing > 0:
            missing -= len(inflating.decompress(piece, PIECE))
            piece = inflating.unconsumed_tail
    if missing > len(inflating.flush()):
        raise ValueError("rows are missing")


def size_of(width: int, height: int, bits: int, left: int, top: int, right: int, down: int) -> int:
    """Bytes of one pass: each row begins with one that says how it is filtered."""
    columns, rows = -(-(width - left) // right), -(-(height - top) // down)
    return rows * (1 + -(-columns * bits // 8)) if columns > 0 and rows > 0 else 0


def data_of(file: BinaryIO) -> Iterator[bytes]:
    """What stands in the chunks of data, a piece at a time."""
    file.seek(8)
    while len(head := file.read(8)) == 8:
        length, name = struct.unpack(">I4s", head)
        following = file.tell() + length + 4
        while name == b"IDAT" and length:
            piece = file.read(min(length, PIECE))
            if not piece:
                return
            length -= len(piece)
            yield piece
        file.seek(following)
