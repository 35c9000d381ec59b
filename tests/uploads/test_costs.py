"""What a hostile file costs to look at: no more than in proportion to its size, by the CPU's clock."""

import time
from collections.abc import Callable

import pytest

from resolvers.filenames import cleaned
from resolvers.locations import EMPTY, cleared_xmp


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
