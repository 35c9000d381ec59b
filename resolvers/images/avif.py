"""Strip the metadata of an AVIF, which consists of boxes and of items that these describe."""

from collections.abc import Iterator
from mmap import mmap

from resolvers.images.icc import is_fitting_profile
from resolvers.images.structure import MAX_BOXES, Segment, iter_boxes

BOX_CONTAINERS = {b"meta": 4, b"iprp": 0, b"ipco": 0, b"moov": 0, b"trak": 0, b"mdia": 0, b"minf": 0, b"stbl": 0}
"""Boxes that consist of boxes, with the size in bytes of what precedes these."""
BOXES = {
    *(*BOX_CONTAINERS, b"ftyp", b"mdat", b"hdlr", b"pitm", b"iloc", b"iinf", b"iref", b"idat", b"ipma"),
    *(b"av1C", b"colr", b"ispe", b"pixi", b"pasp", b"clap", b"irot", b"imir", b"auxC", b"a1op", b"a1lx", b"lsel"),
    *(b"clli", b"mdcv", b"mvhd", b"tkhd", b"edts", b"tref", b"mdhd", b"vmhd", b"dinf"),
    *(b"stsd", b"stts", b"stss", b"stsc", b"stsz", b"stz2", b"stco", b"co64", b"ctts"),
}
AVIF_ITEMS = (b"av01", b"grid", b"iovl", b"iden")
"""Types of items that are images: coded, or made from others."""
AVIF_HANDLERS = (b"pict", b"auxv")
"""Types of tracks that are images, or their transparency."""


def strip_avif(data: mmap) -> int:
    """Overwrite metadata with zeros. An AVIF refers to its parts by their offsets, so none of them may move."""
    waiting, count = [(0, len(data))], 0
    while waiting:
        for box in iter_boxes(data, *waiting.pop()):
            count += 1
            if count > MAX_BOXES:
                raise ValueError("too many boxes")
            if box.type not in BOXES or (box.type == b"colr" and not is_kept_color(data[box.content])):
                data[box.whole.start + 4 : box.whole.start + 8] = b"free"
                fill_with_zeros(data, box.content.start, box.content.stop)
            elif box.type == b"hdlr":
                if data[box.content][8:12] not in AVIF_HANDLERS:
                    raise ValueError("a track that is no image")
                fill_with_zeros(data, box.content.start + 24, box.content.stop)  # its name
            elif box.type == b"meta":
                strip_avif_items(data, box)
            if box.type in BOX_CONTAINERS:
                waiting.append((box.content.start + BOX_CONTAINERS[box.type], box.content.stop))
    return len(data)


def is_kept_color(colr: bytes) -> bool:
    """Return whether a `colr` box has a fitting ICC profile, or code points of fixed length instead of one."""
    if colr[:4] == b"nclx":
        return len(colr) == 11
    return colr[:4] in (b"prof", b"rICC") and is_fitting_profile(colr[4:], b"RGB ", b"GRAY")


def fill_with_zeros(data: mmap, start: int, stop: int) -> None:
    if start < stop:
        data[start:stop] = bytes(stop - start)


def strip_avif_items(data: mmap, meta: Segment) -> None:
    """Overwrite the items of a `meta` box that are no images, and the names of all (ISO/IEC 14496-12, section 8.11)."""
    boxes = {box.type: box.content for box in iter_boxes(data, meta.content.start + 4, meta.content.stop)}
    entries, images = boxes[b"iinf"], set()
    for entry in iter_boxes(data, entries.start + (8 if data[entries.start] else 6), entries.stop):
        start, id_size = entry.content.start + 4, {2: 2, 3: 4}[data[entry.content.start]]
        item_type = slice(start + id_size + 2, start + id_size + 6)
        if data[item_type] in AVIF_ITEMS:
            images.add(int.from_bytes(data[start : start + id_size], "big"))
        else:
            data[item_type] = b"free"
        fill_with_zeros(data, item_type.stop, entry.content.stop)
    extents = []
    for item, method, offset, length in iter_avif_extents(data[boxes[b"iloc"]]):
        start = offset + (boxes[b"idat"].start if method == 1 else 0)
        if method > 1 or not length or start + length > len(data):
            raise ValueError("an item lies outside of the file")
        extents.append((start, start + length, item in images))
    kept_until = overwritten_until = 0
    for start, stop, is_kept in sorted(extents):
        if start < (overwritten_until if is_kept else kept_until):
            raise ValueError("an image and metadata overlap")
        if is_kept:
            kept_until = max(kept_until, stop)
        else:
            fill_with_zeros(data, max(start, overwritten_until), stop)
            overwritten_until = max(overwritten_until, stop)


def iter_avif_extents(iloc: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Yield the item, construction method, offset and length of each extent that an `iloc` box lists."""
    position, version = 6, iloc[0]

    def read(size: int) -> int:
        nonlocal position
        position += size
        if position > len(iloc):
            raise ValueError("truncated box")
        return int.from_bytes(iloc[position - size : position], "big")

    offset_size, length_size, base_size, index_size = iloc[4] >> 4, iloc[4] & 15, iloc[5] >> 4, iloc[5] & 15
    if not length_size:  # without it a short box could list any number of extents
        raise ValueError("extents without a length")
    id_size = 4 if version == 2 else 2
    for _ in range(read(id_size)):
        item = read(id_size)
        method = read(2) & 15 if version else 0
        read(2)  # the data reference
        base = read(base_size)
        for _ in range(read(2)):
            read(index_size if version else 0)
            yield item, method, base + read(offset_size), read(length_size)
