"""Check that uploaded images decode completely, and resize them."""

import asyncio
import math
import struct
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, BinaryIO, TypeVar

from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from models.errors import PayloadTooLarge, ValidationError
from resolvers.images.file_types import FileType
from resolvers.images.metadata import strip_metadata
from resolvers.images.png import check_scanlines, read_color_chunks

MAX_PIXELS = 50_000_000
"""Of one image; decoded, it takes up to 200 MB."""
MAX_ANIMATION_PIXELS = 200_000_000
"""Of all frames together."""
MAX_FRAMES = 1_000

ROTATED = (5, 6, 7, 8)
"""Exif orientations that exchange width and height."""
RESIZABLE_MODES = ("L", "LA", "RGB", "RGBA", "CMYK")
"""Pillow modes that can be interpolated."""
SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 82, "progressive": True, "optimize": True},
    "WEBP": {"quality": 82, "method": 4},
    "AVIF": {"quality": 65},
    "PNG": {"optimize": True},
}
"""By Pillow's name of the format, for those that thumbnails are made of."""
DECODE_ERRORS = (
    *(OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, ArithmeticError, MemoryError),
    *(RuntimeError, struct.error, zlib.error, UnidentifiedImageError),
)
"""Exceptions that Pillow and the walkers in `structure` raise for malformed files."""

Image.MAX_IMAGE_PIXELS = MAX_ANIMATION_PIXELS // 2
"""`check_dimensions` runs before anything is decoded, except that Pillow allocates the first frame of a GIF when it
opens the file; it raises `DecompressionBombError` for an image twice as large as this."""

Result = TypeVar("Result")

pool = ThreadPoolExecutor(2, "images")
"""Two threads, because each may hold a decoded image in memory."""


async def run_in_pool(work: Callable[..., Result], *arguments: Any) -> Result:
    """Run a function that works on an image without blocking the event loop."""
    return await asyncio.get_running_loop().run_in_executor(pool, partial(work, *arguments))


def process_upload(file: BinaryIO, file_type: FileType) -> int | None:
    """Strip the metadata of an image in place, and check that it decodes to its last row.

    Return the width at which it is shown if thumbnails can be made of it, that is, if it does not move.
    Raise `ValidationError` if it is damaged, `PayloadTooLarge` if it has too many pixels or frames.
    """
    try:
        strip_metadata(file, file_type)
        with open_image(file, file_type) as image:
            check_dimensions(image)
            image.verify()
        if file_type.pillow_format == "PNG":
            check_scanlines(file)
        with open_image(file, file_type) as image:
            can_have_thumbnails = decode_all(image) == 1 and file_type.pillow_format in SAVE_OPTIONS
            return displayed_width(image) if can_have_thumbnails else None
    except Image.DecompressionBombError as error:
        raise too_many_pixels() from error
    except DECODE_ERRORS as error:
        raise ValidationError.for_fields(file="The image is damaged or truncated") from error


def open_image(file: BinaryIO, file_type: FileType) -> Image.Image:
    file.seek(0)
    return Image.open(file, formats=[file_type.pillow_format])


def check_dimensions(image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise too_many_pixels()


def too_many_pixels() -> PayloadTooLarge:
    return PayloadTooLarge(f"An image may have at most {MAX_PIXELS:,} pixels")


def decode_all(image: Image.Image) -> int:
    """Decode every frame, and return their number. Raise `PayloadTooLarge` if there are too many."""
    pixels = 0
    for number in range(MAX_FRAMES):
        try:
            image.seek(number)
        except EOFError:
            return number
        pixels += image.width * image.height
        if pixels > MAX_ANIMATION_PIXELS:
            break
        image.load()
    raise PayloadTooLarge(f"An animation may have at most {MAX_FRAMES:,} frames and {MAX_ANIMATION_PIXELS:,} pixels")


def displayed_width(image: Image.Image) -> int:
    """Return the width of an image after it is turned according to its orientation."""
    is_rotated = image.getexif().get(ExifTags.Base.Orientation) in ROTATED
    return image.height if is_rotated else image.width


def resize(file: BinaryIO, file_type: FileType, width: int, target: BinaryIO) -> None:
    """Write an upright image of this width, with the colours, colour profile and transparency of the original."""
    with open_image(file, file_type) as image:
        profile = image.info.get("icc_profile")
        ratio = width / displayed_width(image)
        image.draft(None, (math.ceil(image.width * ratio), math.ceil(image.height * ratio)))
        upright = ImageOps.exif_transpose(image)
    height = max(1, round(upright.height * width / upright.width))
    resizable = to_resizable_mode(upright)
    thumbnail = resizable.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)
    thumbnail.info.clear()
    options = {**SAVE_OPTIONS[file_type.pillow_format], "icc_profile": profile}
    if file_type.pillow_format == "PNG":
        options["pnginfo"] = read_color_chunks(file)
    thumbnail.save(target, file_type.pillow_format, **options)


def to_resizable_mode(image: Image.Image) -> Image.Image:
    """Convert an image to 8 bits per channel without a palette, and its transparent colour to an alpha channel."""
    if image.mode in RESIZABLE_MODES and "transparency" not in image.info:
        return image
    if image.mode.startswith("I"):  # 16 bits: converting to another mode would clip each value at 255
        transparent = image.info.get("transparency")
        wide = image.convert("I")
        grey = wide.point([round(value / 257) for value in range(65_536)], "L")
        if transparent is None:
            return grey
        alpha = wide.point([0 if value == transparent else 255 for value in range(65_536)], "L")
        return Image.merge("LA", (grey, alpha))
    is_grey = image.mode in ("1", "L")
    if image.has_transparency_data:
        return image.convert("LA" if is_grey else "RGBA")
    return image.convert("L" if is_grey else "RGB")
