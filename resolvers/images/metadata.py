"""Where a picture was taken is nobody's business: the place is taken out of a file, in place, and all else stays.

Nothing moves and nothing is encoded anew: entries are cut from Exif's own tables, text is written over with spaces.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from mmap import mmap
from typing import Any, BinaryIO

from PIL import Image

from models.errors import ValidationError
from resolvers.images.decoding import opened
from resolvers.images.file_types import Kind

GPS = 0x8825
"""The entry of Exif's first table that leads to the place."""
ENTRY = 12
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
"""Bytes of one value, by Exif's types."""
MOST_TABLES = 10
"""Of one file's Exif, which has two: of the picture, and of the small one beside it."""
MOST_OF_PLACE, MOST_VALUE = 100, 2**16
"""Entries of the place, of which there are about thirty kinds, and bytes of one of them."""
NO_TABLES = {"<": b"II*\0\x08" + bytes(9), ">": b"MM\0*\0\0\0\x08" + bytes(6)}
"""What becomes of Exif that no camera wrote: its place cannot be told from the rest."""

SEGMENT = re.compile(
    rb"\xff\xe1(?s:(..))(Exif\0\0|http://ns\.adobe\.com/xap/1\.0/\0|http://ns\.adobe\.com/xmp/extension/\0)"
)
"""JPEG's notes, those of further pictures within the file too."""
ATTRIBUTE = re.compile(rb"\s[\w.-]++:GPS\w*+\s*+=\s*+(?:\"[^\"]*+\"|'[^']*+')")
TAG = re.compile(rb"<(/?)([\w.:-]*+)([^<>]*+)>")
"""Neither pattern looks at anything twice: what they take grows with the text, whatever stands in it."""
MOST_XMP = 2**16
"""Bytes of a text that is worth keeping without its place; a segment of JPEG has no room for more."""
EMPTY = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
XMP_IN_PNG = b"XML:com.adobe.xmp\0"
HIDDEN_IN_PNG = b"Raw profile type "
UNUSED = b"juNk"
"""A PNG chunk of this private name is passed over."""

Span = tuple[str, int, int]
"""What it is, `exif` or `xmp` or `drop`, where it begins and where it ends."""


def remove(file: BinaryIO, kind: Kind) -> None:
    """Takes the place out of a picture, or refuses one that it cannot be taken out of."""
    with mmap(file.fileno(), 0) as data:
        if kind.name == "png":
            clear_png(data)
        else:
            for what, start, stop in SPANS[kind.name](data, file, kind):
                clear(data, what, start, stop)
        data.flush()
    with opened(file, kind) as picture:
        if told(picture):
            raise ValidationError.of(file="The place where the picture was taken cannot be taken out of it")


def told(picture: Image.Image) -> bool:
    """Whether a picture still says where it was taken."""
    xmp = picture.info.get("xmp") or b""
    return bool(picture.getexif().get_ifd(GPS)) or says_place(xmp.encode() if isinstance(xmp, str) else xmp)


def says_place(xmp: bytes) -> bool:
    return b"GPS" in xmp.replace(b"\0", b"")


def clear(data: Any, what: str, start: int, stop: int) -> None:
    if what == "exif":
        clear_exif(data, start, stop)
    elif says_place(data[start:stop]):
        data[start:stop] = cleared_xmp(data[start:stop]) if what == "xmp" else b" " * (stop - start)


def cleared_xmp(xmp: bytes) -> bytes:
    """The same text with spaces where the place stood; nothing but spaces if it stands where nobody would look."""
    if len(xmp) <= MOST_XMP:
        cleared = without_elements(ATTRIBUTE.sub(lambda found: b" " * len(found[0]), xmp))
        if not says_place(cleared):
            return cleared
    return EMPTY.ljust(len(xmp))[: len(xmp)]


def without_elements(xmp: bytes) -> bytes:
    """Writes over each element of the place, from its tag to the one that ends it."""
    cleared, name, start = bytearray(xmp), b"", 0
    for tag in TAG.finditer(xmp):
        ends, called, rest = tag.groups()
        alone = not ends and rest.endswith(b"/")
        if not name and not ends and b":GPS" in called:
            name, start = called, tag.start()
            ends = alone
        if name == called and ends:
            cleared[start : tag.end()] = b" " * (tag.end() - start)
            name = b""
    return bytes(cleared)


def clear_exif(data: Any, start: int, stop: int) -> None:
    """Cuts the entry that leads to the place out of each table, and writes over what it led to."""
    if data[start : start + 6] == b"Exif\0\0":
        start += 6
    order = {b"II": "<", b"MM": ">"}.get(bytes(data[start : start + 2]))
    if order is None:
        return
    exif = bytearray(data[start:stop])
    if not all_cut(exif, order):
        exif[:] = NO_TABLES[order].ljust(len(exif), b"\0")[: len(exif)]
    data[start:stop] = bytes(exif)


def all_cut(exif: bytearray, order: str) -> bool:
    """Cuts the entry out of all tables; says whether these were such as cameras write, and few enough to follow."""
    table, seen = number_at(exif, order, 4), set()
    while table and table not in seen:
        seen.add(table)
        if len(seen) > MOST_TABLES or not cut(exif, order, table):
            return False
        table = number_at(exif, order, end_of(exif, order, table))
    return True


def number_at(exif: bytearray, order: str, at: int) -> int:
    """Where something stands; nowhere if the bytes end before they say so."""
    return struct.unpack_from(order + "I", exif, at)[0] if at + 4 <= len(exif) else 0


def end_of(exif: bytearray, order: str, table: int) -> int:
    """Where a table's entries end, as many as there are bytes for."""
    if table + 2 > len(exif):
        return len(exif)
    (count,) = struct.unpack_from(order + "H", exif, table)
    return table + 2 + min(count, (len(exif) - table - 2) // ENTRY) * ENTRY


def cut(exif: bytearray, order: str, table: int) -> bool:
    """Cuts the entry out of one table, and says whether that could be done."""
    first, end = table + 2, end_of(exif, order, table)
    places = [at for at, (tag,) in enumerate(struct.iter_unpack(order + "H10x", exif[first:end])) if tag == GPS]
    if len(places) > 1:
        return False
    for number in places:
        at = first + number * ENTRY
        if not overwrite(exif, order, number_at(exif, order, at + 8)):
            return False
        following = exif[end : end + 4]
        count = struct.pack(order + "H", (end - first) // ENTRY - 1)
        kept = count + exif[first:at] + exif[at + ENTRY : end] + following
        exif[table : end + len(following)] = kept.ljust(end + len(following) - table, b"\0")
    return True


def overwrite(exif: bytearray, order: str, table: int) -> bool:
    """Writes zeros over a table and the values that it leads to, unless there are more than a place consists of."""
    first, end = table + 2, end_of(exif, order, table)
    if end - first > MOST_OF_PLACE * ENTRY:
        return False
    for at in range(first, end, ENTRY):
        _, type_, number, value = struct.unpack_from(order + "HHII", exif, at)
        length = SIZES.get(type_, 0) * number
        if length > MOST_VALUE:
            return False
        if length > 4:
            zero(exif, value, value + length)
    zero(exif, table, end + 4)
    return True


def zero(exif: bytearray, start: int, stop: int) -> None:
    stop = min(stop, len(exif))
    exif[start:stop] = bytes(max(0, stop - start))


def in_jpeg(data: Any, file: BinaryIO, kind: Kind) -> Iterator[Span]:
    """Segments may stand within others, as those of a small picture do, but not so that all hold all the rest."""
    spans, most = [], 2 * len(data) + 2**20
    for found in SEGMENT.finditer(data):
        length = int.from_bytes(found[1], "big")
        most -= length + 1024
        if most < 0:
            raise ValidationError.of(file="The picture has more notes than a picture needs")
        what = {b"E": "exif", b"h": "xmp"}[found[2][:1]]
        start = found.start(2) if what == "exif" else found.end()
        spans.append(("drop" if b"extension" in found[2] else what, start, found.start() + 2 + length))
    return iter(spans)


def in_webp(data: Any, file: BinaryIO, kind: Kind) -> Iterator[Span]:
    at = 12
    while at + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, at)
        if what := {b"EXIF": "exif", b"XMP ": "xmp"}.get(name):
            yield what, at + 8, min(at + 8 + length, len(data))
        at += 8 + length + length % 2


def in_others(data: Any, file: BinaryIO, kind: Kind) -> Iterator[Span]:
    """Where Pillow found them, wherever that was."""
    with opened(file, kind) as picture:
        notes = {what: picture.info.get(what) for what in ("exif", "xmp")}
    for what, note in notes.items():
        if isinstance(note, bytes) and (at := bytes(data).find(note)) >= 0:  # `mmap.find` may take the square of it
            yield what, at, at + len(note)


SPANS = {"jpeg": in_jpeg, "webp": in_webp, "avif": in_others, "gif": in_others}


def clear_png(data: Any) -> None:
    """PNG's chunks have a sum at their end, which must follow what is changed."""
    at = 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        name, start, stop = bytes(data[at + 4 : at + 8]), at + 8, at + 8 + length
        if stop + 4 > len(data):  # behind the end of the picture anything may stand
            return
        if name == b"eXIf":
            clear_exif(data, start, stop)
        elif name in (b"iTXt", b"zTXt", b"tEXt") and (kept := png_text(bytes(data[start:stop]))) is not None:
            data[at + 4 : stop] = kept
        if name in (b"eXIf", b"iTXt", b"zTXt", b"tEXt"):
            struct.pack_into(">I", data, stop, zlib.crc32(data[at + 4 : stop]))
        at = stop + 4


def png_text(text: bytes) -> bytes | None:
    """What a chunk of text is to become, its name included; None where it may stay."""
    if text.startswith(HIDDEN_IN_PNG):  # Exif or XMP in hexadecimal, as older programs keep it
        return UNUSED + bytes(len(text))
    if not text.startswith(XMP_IN_PNG):
        return None
    if text[len(XMP_IN_PNG)]:  # compressed: what is taken out would change its length
        return UNUSED + bytes(len(text))
    return b"iTXt" + cleared_xmp(text) if says_place(text) else None
