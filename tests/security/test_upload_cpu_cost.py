"""The CPU time that a hostile file costs is at most proportional to its size."""

import io
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from tempfile import TemporaryFile

import pytest
from PIL import Image

from resolvers.filenames import sanitize
from resolvers.images.decoding import DECODE_ERRORS
from resolvers.images.file_types import BY_MEDIA_TYPE
from resolvers.images.metadata import minimal_exif, strip_metadata
from resolvers.images.structure import iter_jpeg_segments, iter_png_chunks
from tests.support.uploads import make_animation, make_image, make_private_image, png_chunk, post_files


def measure_cpu_time(work: Callable[..., object], *arguments: object) -> float:
    """Return the CPU time of this thread in seconds, the best of three."""
    times = []
    for _ in range(3):
        before = time.thread_time()
        work(*arguments)
        times.append(time.thread_time() - before)
    return min(times)


def is_linear(work: Callable[[int], object], size: int) -> bool:
    """Return whether four times the size costs about four times as much, and not sixteen times."""
    return measure_cpu_time(work, 4 * size) < 8 * max(measure_cpu_time(work, size), 0.002)


@pytest.mark.parametrize("letters", ["a", "/", "\\", "a/", "\n", "\u0345\u0301", "\u0328\u0321", ".", " ", "é"])
def test_sanitizing_a_filename_is_linear(letters):
    """It runs on the event loop."""
    assert is_linear(lambda size: sanitize((letters * size)[:size]), 4_000)


def test_a_very_long_filename_keeps_its_start_and_its_extension():
    assert sanitize("x" * 16_000 + ".png") == "x" * 251 + ".png"
    assert sanitize("a/" * 8_000 + "b.png") == "b.png"


def strip(content: bytes, media_type: str) -> bytes:
    """Return an image file without its metadata."""
    with TemporaryFile(buffering=0) as file:
        file.write(content)
        strip_metadata(file, BY_MEDIA_TYPE[media_type])
        file.seek(0)
        return file.read()


def box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + name + content


def webp(content: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", 4 + len(content)) + b"WEBP" + content


def riff(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content


def avif_meta(count: int, extents: bytes, item_type: bytes = b"Exif", size_fields: int = 0x44) -> bytes:
    """The boxes of an AVIF with one item, which consists of these extents."""
    infe = box(b"infe", b"\2\0\0\0" + struct.pack(">HH", 1, 0) + item_type + b"\0")
    iloc = b"\0" * 4 + bytes([size_fields, 0]) + struct.pack(">HHHH", 1, 1, 0, count) + extents
    return box(b"meta", bytes(4) + box(b"iinf", b"\0" * 4 + b"\0\1" + infe) + box(b"iloc", iloc))


def nested(name: bytes, size: int) -> bytes:
    """Boxes that each contain the next."""
    return b"".join(struct.pack(">I", size - start) + name for start in range(0, size - 8, 8)) + bytes(8)


def after_header(media_type: str, length: int, repeated: bytes) -> Callable[[int], bytes]:
    """Return a function that inserts so many bytes of a repeated text after the first `length` bytes of an image."""
    image = make_image(media_type)
    return lambda size: image[:length] + repeated * (size // len(repeated)) + image[length:]


HOSTILE_FILES: dict[str, tuple[str, Callable[[int], bytes]]] = {
    "JPEG entropy-coded data": ("image/jpeg", after_header("image/jpeg", 2, b"\xff\xda\0\2" + b"\xff\0\xff\xd0")),
    "JPEG padding": ("image/jpeg", after_header("image/jpeg", 2, b"\xff")),
    "JPEG padding before no marker": ("image/jpeg", after_header("image/jpeg", 2, b"\xff\xff\xff\0")),
    "JPEG scans": ("image/jpeg", after_header("image/jpeg", 2, b"\xff\xda\0\2")),
    "JPEG Exif within Exif": (
        "image/jpeg",
        after_header("image/jpeg", 2, b"\xff\xe1\xff\xffExif\0\0II*\0\x08\0\0\0"),
    ),
    "JPEG XMP": ("image/jpeg", after_header("image/jpeg", 2, b"\xff\xe1\0\x21http://ns.adobe.com/xap/1.0/\0\xff")),
    "JPEG colour profiles": (
        "image/jpeg",
        after_header("image/jpeg", 2, b"\xff\xe2\xff\xffICC_PROFILE\0\1\1" + bytes(65_519)),
    ),
    "PNG chunks": ("image/png", after_header("image/png", 33, png_chunk(b"prVt", b""))),
    "PNG image data": ("image/png", after_header("image/png", 33, png_chunk(b"IDAT", b""))),
    "PNG Exif": (
        "image/png",
        lambda size: make_image()[:33] + png_chunk(b"eXIf", overlapping_ifds(size)) + make_image()[33:],
    ),
    "WebP chunks": ("image/webp", lambda size: webp(riff(b"VP8X", bytes(10)) + b"EXIF\0\0\0\0" * (size // 8))),
    "WebP frames": ("image/webp", lambda size: webp(riff(b"ANMF", bytes(16)) * (size // 24))),
    "WebP chunks in a frame": ("image/webp", lambda size: webp(riff(b"ANMF", bytes(16) + bytes(8) * (size // 8)))),
    "GIF extensions": ("image/gif", lambda size: make_image("image/gif")[:-1] + b"!\xfe\0" * (size // 3) + b";"),
    "GIF sub-blocks": (
        "image/gif",
        lambda size: make_image("image/gif")[:-1] + b"!\xfe" + b"\1a" * (size // 2) + b"\0;",
    ),
    "AVIF boxes": ("image/avif", lambda size: box(b"free", b"") * (size // 8)),
    "AVIF boxes within boxes": ("image/avif", lambda size: nested(b"moov", size)),
    "AVIF extents": ("image/avif", lambda size: avif_meta(65_535, struct.pack(">II", 8, 8) * (size // 8))),
    "AVIF extents that overlap": (
        "image/avif",
        lambda size: avif_meta(4_000, struct.pack(">II", 8, size) * 4_000) + bytes(size),
    ),
    "AVIF extents without a size": ("image/avif", lambda size: avif_meta(65_535, bytes(size), size_fields=0)),
}


@pytest.mark.parametrize(("media_type", "make_file"), HOSTILE_FILES.values(), ids=HOSTILE_FILES)
def test_stripping_metadata_is_linear(media_type, make_file):
    def strip_or_reject(size: int) -> None:
        with suppress(*DECODE_ERRORS):
            strip(make_file(size), media_type)

    assert is_linear(strip_or_reject, 500_000)


def ifd(entries: list[tuple[int, int]], *, claimed: int | None = None) -> bytes:
    """Exif of one directory of numbers."""
    rows = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    return struct.pack("<4sIH", b"II*\0", 8, claimed or len(entries)) + rows + bytes(4)


def overlapping_ifds(size: int) -> bytes:
    """Exif whose directories overlap: each claims to be huge, and that another follows four bytes later."""
    exif = bytearray(b"\xff" * (size + 12 * 65_535 + 20))
    struct.pack_into("<4sI", exif, 0, b"II*\0", 8)
    for start in range(8, size, 4):
        struct.pack_into("<I", exif, start + 2 + 12 * 65_535, start + 4)
    return bytes(exif)


EXIF: dict[str, Callable[[int], bytes]] = {
    "directories that overlap": overlapping_ifds,
    "a directory of many entries": lambda size: ifd([(tag % 0x7FFF, tag) for tag in range(size)], claimed=65_535),
    "many references to GPS": lambda size: ifd([(0x8825, 10)] * size, claimed=65_535),
    "a directory that refers to itself": lambda size: ifd([(0x8825, 8)], claimed=65_535) + bytes(size),
}


@pytest.mark.parametrize("make_exif", EXIF.values(), ids=EXIF)
def test_reading_the_orientation_is_linear(make_exif):
    assert is_linear(lambda size: minimal_exif(make_exif(size)), 10_000)


GPS = [(0x0112, 6), (0x8825, 38)]
DAMAGED_EXIF = {
    "a directory that claims to go on": ifd(GPS, claimed=500) + struct.pack("<HHHII", 1, 1, 2, 2, 78) + bytes(4),
    "a directory that the end cuts off": ifd([(0x0112, 6), (0x8825, 34)])[:-4] + struct.pack("<HHHII", 1, 1, 2, 2, 78),
    "two references to GPS": ifd([(0x8825, 50), *GPS]) + struct.pack("<HHHII", 1, 1, 2, 2, 78),
    "a very long value": ifd(GPS) + struct.pack("<HHHII", 1, 2, 2, 60_000, 20) + bytes(60_100),
}


@pytest.mark.parametrize("exif", DAMAGED_EXIF.values(), ids=DAMAGED_EXIF)
def test_only_the_orientation_of_damaged_exif_is_kept(exif):
    original = Image.open(io.BytesIO(make_image("image/jpeg", exif=b"Exif\0\0" + exif)))
    assert original.getexif().get_ifd(0x8825)
    stripped = Image.open(io.BytesIO(strip(make_image("image/jpeg", exif=b"Exif\0\0" + exif), "image/jpeg")))
    assert dict(stripped.getexif()) == {0x0112: 6}


ORDINARY = [
    ("image/jpeg", make_private_image("image/jpeg")),
    ("image/jpeg", make_image("image/jpeg", progressive=True)),
    ("image/jpeg", make_image("image/jpeg", mode="CMYK")),
    ("image/png", make_private_image("image/png")),
    ("image/png", make_image("image/png", mode="P")),
    ("image/png", make_animation("image/png", 30)),
    ("image/webp", make_animation("image/webp", 30)),
    ("image/gif", make_animation("image/gif", 30)),
    ("image/avif", make_animation("image/avif", 3)),
]


@pytest.mark.parametrize(("media_type", "content"), ORDINARY, ids=range(len(ORDINARY)))
def test_ordinary_images_are_within_the_limits(media_type, content):
    """With metadata, in colour and grey, in several scans and frames; and no frame is lost."""
    before, after = Image.open(io.BytesIO(content)), Image.open(io.BytesIO(strip(content, media_type)))
    assert getattr(before, "n_frames", 1) == getattr(after, "n_frames", 1)
    assert before.tobytes() == after.tobytes()


@pytest.mark.parametrize("name", [b"http://ns.adobe.com/xmp/extension/\0", b"Exif\0\0"])
def test_metadata_may_be_long_and_are_not_decoded(name):
    """Phones store whole depth maps in XMP, over many segments. Pillow would copy all Exif again for each segment."""
    image = make_image("image/jpeg")
    segment = b"\xff\xe1\xff\xff" + name.ljust(65_533, b"\1")
    assert strip(image[:2] + segment * 40 + image[2:], "image/jpeg") == image


def test_the_walkers_read_nothing_after_the_end_of_an_image():
    jpeg, png = make_image("image/jpeg"), make_image("image/png")
    assert [*iter_jpeg_segments(jpeg + jpeg)] == [*iter_jpeg_segments(jpeg)]
    assert [*iter_png_chunks(png + png)] == [*iter_png_chunks(png)]


async def test_data_after_the_end_of_an_image_are_accepted_and_dropped(server, author):
    """Here a chunk that claims to be longer than the file."""
    content = make_image() + b"\xff\xff\xff\xffeXIf" + bytes(20)
    response = await post_files(server.anonymous, author, ("a.png", content, "image/png"))
    assert (response.status_code, response.json()["size"]) == (201, len(make_image()))
    assert (await server.anonymous.get(response.json()["url"])).content == make_image()
