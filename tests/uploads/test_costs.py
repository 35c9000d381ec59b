"""What a hostile file costs to look at: no more than in proportion to its size, by the CPU's clock."""

import io
import struct
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from mmap import mmap
from tempfile import TemporaryFile

import pytest
from PIL import Image

from models.errors import ValidationError
from resolvers.filenames import cleaned
from resolvers.images import metadata
from resolvers.images.file_types import KINDS
from resolvers.images.metadata import EMPTY, clear, clear_exif, cleared_xmp, in_jpeg, in_others
from resolvers.images.structure import check_jpeg, check_png
from tests.uploads.files import chunk, located, picture, send


def spent(work: Callable[..., object], *given: object) -> float:
    """The CPU time of this thread, at best of three."""
    times = []
    for _ in range(3):
        before = time.thread_time()
        work(*given)
        times.append(time.thread_time() - before)
    return min(times)


def in_proportion(work: Callable[[int], object], size: int) -> bool:
    """Whether four times as much costs about four times as much, and not sixteen times."""
    return spent(work, 4 * size) < 8 * max(spent(work, size), 0.002)


@pytest.mark.parametrize("letters", ["a", "/", "\\", "a/", "\n", "\u0345\u0301", "\u0328\u0321", ".", " ", "é"])
def test_a_filename_is_cleaned_at_once(letters):
    """Whatever it consists of: it happens where everybody waits."""
    assert in_proportion(lambda size: cleaned((letters * size)[:size]), 4_000)


def test_of_a_filename_without_end_both_ends_are_kept():
    assert cleaned("x" * 16_000 + ".png") == "x" * 251 + ".png"
    assert cleaned("a/" * 8_000 + "b.png") == "b.png"


TEXTS = {
    "elements that nothing ends": b"<a:GPS>",
    "tags that nothing ends": b"<a:GPS ",
    "ends that nothing begins": b"</a:GPS>",
    "elements within elements": b"<a:GPS><b:GPS>",
    "attributes that nothing ends": b" a:GPS=\"'",
    "names without end": b"a:GPS.",
    "spaces": b" a:GPS      ",
    "signs of tags": b"<",
    "elements that are right": b"<a:GPS>1</a:GPS>",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_place_is_taken_out_of_text_in_proportion(text):
    """Whatever stands there instead of XMP."""
    assert in_proportion(lambda size: cleared_xmp((text * size)[:size]), 16_000)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (b"<a:GPSLatitude>52</a:GPSLatitude><b/>", b"<b/>"),
        (b'<a:GPSLatitude b="c">52<d/></a:GPSLatitude ><b/>', b"<b/>"),
        (b'<b/><a:GPSLatitude rdf:value="52"/><b/>', b"<b/> <b/>"),
        (b"<a:GPSPosition><a:GPSLatitude>52</a:GPSLatitude></a:GPSPosition><b/>", b"<b/>"),
        (b'<b a:GPSLatitude="52" c="d"/>', b'<b c="d"/>'),
        (b'<a:GPSLatitude b=">">52</a:GPSLatitude><b/>', b"<b/>"),
        (b"<a:GPSLatitude><a:GPSLatitude>52</a:GPSLatitude>7</a:GPSLatitude>", EMPTY),
        (b"<a:GPSLatitude>52<a:GPSLongitude>13</a:GPSLongitude><b>something else, and more of it</b>", EMPTY),
        (b"<b>GPS 52, 13</b>" + b"<b>something else</b>" * 2, EMPTY),
        (b"<a:GPSLatitude>52</a:GPSLatitude>".ljust(70_000, b"x"), EMPTY),
    ],
)
def test_of_text_what_is_not_the_place_stays_where_that_is_plain(given, kept):
    """And of other text nothing does."""
    cleared = cleared_xmp(given)
    assert (len(cleared), b" ".join(cleared.split())) == (len(given), kept)


def chained(tables: int) -> bytearray:
    """Exif whose tables overlap: each says that it is huge, and that another follows four bytes later."""
    each = 65_535
    told = bytearray(b"\xff" * (8 + 4 * tables + 2 + 12 * each + 8))
    struct.pack_into("<4sI", told, 0, b"II*\0", 8)
    for number in range(tables):
        at = 8 + 4 * number
        struct.pack_into("<I", told, at + 2 + 12 * each, at + 4 if number < tables - 1 else 0)
    return told


def table(entries: list[tuple[int, int]], *, claimed: int | None = None) -> bytearray:
    """Exif of one table of numbers."""
    rows = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    return bytearray(struct.pack("<4sIH", b"II*\0", 8, claimed or len(entries)) + rows + bytes(4))


EXIF = {
    "tables that overlap": lambda size: chained(size),
    "a table of many entries": lambda size: table([(number & 0x7FFF, number) for number in range(size * 200)]),
    "many that lead to a place": lambda size: table([(0x8825, 10)] * size * 10),
    "places that overlap": lambda size: table([(0x8825, 8)] + [(1, 0xFFFF)] * size * 100),
    "a table that leads to itself": lambda size: table([(0x8825, 8)], claimed=65_535) + bytes(size),
}


@pytest.mark.parametrize("made", EXIF.values(), ids=EXIF)
def test_a_place_is_taken_out_of_exif_in_proportion(made):
    """Whatever its tables say of themselves."""
    assert in_proportion(lambda size: clear_exif(made(size), 0, 10**9), 50)


def place_in(exif: bytes) -> dict:
    notes = Image.Exif()
    notes.load(bytes(exif))
    return notes.get_ifd(0x8825)


PLACE = [(0x0112, 6), (0x8825, 38)]
HIDDEN = {
    "a table that says it goes on": table(PLACE, claimed=500) + struct.pack("<HHHII", 1, 1, 2, 2, 78) + bytes(4),
    "a table that the end cuts off": table([(0x0112, 6), (0x8825, 34)])[:-4] + struct.pack("<HHHII", 1, 1, 2, 2, 78),
    "two that lead to it": table([(0x8825, 50), *PLACE]) + struct.pack("<HHHII", 1, 1, 2, 2, 78),
    "one that is very long": table(PLACE) + struct.pack("<HHHII", 1, 2, 2, 100_000, 20) + bytes(100_100),
}


@pytest.mark.parametrize("exif", HIDDEN.values(), ids=HIDDEN)
def test_no_place_is_left_in_tables_that_are_not_right(exif):
    """Where it cannot be found for sure, all goes."""
    assert place_in(exif)
    cleared = bytearray(exif)
    clear_exif(cleared, 0, len(cleared))
    assert (place_in(cleared), len(cleared)) == ({}, len(exif))


def test_no_place_is_left_beyond_the_tables_that_are_looked_at():
    """The eleventh table's is gone with all the others."""
    tables = [struct.pack("<HHHIII", 1, 0x0112, 4, 1, 6, 8 + 18 * number) for number in range(1, 12)]
    exif = bytearray(b"II*\0\x08\0\0\0" + b"".join(tables) + table(PLACE)[8:])
    clear_exif(exif, 0, len(exif))
    assert exif.rstrip(b"\0") == b"II*\0\x08"


USUAL = [
    located("image/jpeg"),
    picture("image/jpeg", progressive=True),
    picture("image/jpeg", mode="CMYK"),
    located("image/png"),
    picture("image/png", mode="P"),
]


@pytest.mark.parametrize("usual", USUAL, ids=range(len(USUAL)))
def test_pictures_of_the_usual_kind_have_few_parts(usual):
    """With notes, in colours or grey, in several scans."""
    (check_png if usual.startswith(b"\x89PNG") else check_jpeg)(usual)


def test_notes_may_be_long_but_not_exif():
    """Phones keep whole pictures of depth in XMP, over many segments; Pillow copies Exif anew at each."""
    whole = picture("image/jpeg")
    for name, is_refused in ((b"http://ns.adobe.com/xmp/extension/\0", False), (b"Exif\0\0", True)):
        segment = b"\xff\xe1\xff\xff" + name.ljust(65_533, b"\1")
        with pytest.raises(ValueError, match="notes") if is_refused else nullcontext():
            check_jpeg(whole[:2] + segment * 40 + whole[2:])


OUTLINES = {
    "data of a JPEG": (check_jpeg, b"\xff\xda\0\2" + b"\xff\0\xff\xd0"),
    "padding": (check_jpeg, b"\xff"),
    "padding that ends in nothing": (check_jpeg, b"\xff\xff\xff\0"),
    "scans": (check_jpeg, b"\xff\xda\0\2"),
    "chunks": (check_png, chunk(b"prVt", b"")),
    "chunks of data": (check_png, chunk(b"IDAT", b"")),
}


@pytest.mark.parametrize(("check", "text"), OUTLINES.values(), ids=OUTLINES)
def test_parts_are_counted_in_proportion(check, text):
    def counted(size: int) -> None:
        with suppress(ValueError):
            check((b"\xff\xd8" if check is check_jpeg else PNG) + text * (size // len(text)))

    assert in_proportion(counted, 500_000)


PNG = b"\x89PNG\r\n\x1a\n"


def test_segments_within_segments_are_looked_at_in_proportion():
    """Each of these holds the next 64 KiB, and all the segments that begin in it."""

    def looked_at(size: int) -> None:
        with suppress(ValidationError):
            data = bytearray(b"\xff\xe1\xff\xffExif\0\0II*\0\x08\0\0\0" * size + b"\xff" * 65_536)
            for what, start, stop in in_jpeg(data, io.BytesIO(), KINDS["jpeg"]):
                clear(data, what, start, stop)

    assert in_proportion(looked_at, 2_000)


def test_notes_that_repeat_themselves_are_found_in_proportion(monkeypatch):
    """In formats of which Pillow alone knows where they keep them."""

    def looked_for(size: int) -> None:
        with TemporaryFile() as file:
            file.write(b"A" * 2 * size + b"B")
            file.flush()
            found = Image.new("L", (1, 1))
            found.info["xmp"] = b"A" * size + b"B"
            monkeypatch.setattr(metadata, "opened", lambda file, kind: found)
            with mmap(file.fileno(), 0) as data:
                assert list(in_others(data, file, KINDS["avif"])) == [("xmp", size, 2 * size + 1)]

    assert in_proportion(looked_for, 20_000)


async def test_what_stands_behind_a_picture_is_no_fault_of_ours(server, author):
    """A chunk behind the end, which says that it is longer than the file."""
    content = picture() + b"\xff\xff\xff\xffeXIf" + bytes(20)
    answer = await send(server.anonymous, author, ("a.png", content, "image/png"))
    assert answer.status_code == 201
