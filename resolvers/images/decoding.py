"""Pictures: proved whole by decoding them, and made smaller."""

import asyncio
import math
import struct
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, BinaryIO, TypeVar

from PIL import Image, ImageOps, UnidentifiedImageError

from models.errors import PayloadTooLarge, ValidationError
from resolvers.images import png, structure
from resolvers.images.file_types import Kind

MOST_PIXELS = 50_000_000
"""Of one picture, decoded to 200 MB at most."""
MOST_PIXELS_IN_ALL = 200_000_000
"""Of all the frames of an animation."""
MOST_FRAMES = 1_000

ORIENTATION, SIDEWAYS = 0x0112, (5, 6, 7, 8)
PLAIN = ("L", "LA", "RGB", "RGBA", "CMYK")
"""Modes that can be scaled smoothly."""
SAVING: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 82, "progressive": True, "optimize": True},
    "WEBP": {"quality": 82, "method": 4},
    "AVIF": {"quality": 65},
    "PNG": {"optimize": True},
}
BROKEN = (
    *(OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError, MemoryError),
    *(struct.error, zlib.error),
)
"""What Pillow raises, by format, at bytes that are not what they begin as; and we do."""

Image.MAX_IMAGE_PIXELS = MOST_PIXELS_IN_ALL // 2
"""`within` refuses before anything is decoded; but a GIF's first frame takes its memory as soon as it is opened, unless
it is twice as large as this."""

Answer = TypeVar("Answer")

aside = ThreadPoolExecutor(2, "pictures")
"""Few at a time, for the sake of memory."""


async def in_turn(work: Callable[..., Answer], *given: Any) -> Answer:
    """Have a picture worked on without holding up anybody else."""
    return await asyncio.get_running_loop().run_in_executor(aside, partial(work, *given))


def check_whole(file: BinaryIO, kind: Kind) -> int | None:
    """Refuses a picture that cannot be decoded to its last row; gives the width of a still one, as it is shown."""
    try:
        structure.check(file, kind)
        with opened(file, kind) as picture:
            within(picture)
            picture.verify()
        if kind.format == "PNG":
            png.check_all_there(file)
        with opened(file, kind) as picture:
            is_still = decoded(picture) == 1 and kind.format in SAVING
            return shown_width(picture) if is_still else None
    except Image.DecompressionBombError as error:
        raise too_large() from error
    except (*BROKEN, UnidentifiedImageError) as error:
        raise ValidationError.of(file="The picture is damaged or cut short") from error


def opened(file: BinaryIO, kind: Kind) -> Image.Image:
    file.seek(0)
    return Image.open(file, formats=[kind.format])


def within(picture: Image.Image) -> None:
    if picture.width * picture.height > MOST_PIXELS:
        raise too_large()


def too_large() -> PayloadTooLarge:
    return PayloadTooLarge(f"A picture may have at most {MOST_PIXELS:,} pixels")


def decoded(picture: Image.Image) -> int:
    """Decodes every frame, and says how many there are. Further pictures in a JPEG's file are no frames."""
    if picture.format == "MPO":
        picture.load()
        return 1
    pixels = 0
    for number in range(MOST_FRAMES):
        try:
            picture.seek(number)
        except EOFError:
            return number
        pixels += picture.width * picture.height
        if pixels > MOST_PIXELS_IN_ALL:
            break
        picture.load()
    raise PayloadTooLarge(f"An animation may have {MOST_FRAMES:,} frames and {MOST_PIXELS_IN_ALL:,} pixels at most")


def shown_width(picture: Image.Image) -> int:
    """Cameras that are held upright turn their pictures by a note beside them."""
    sideways = picture.getexif().get(ORIENTATION) in SIDEWAYS
    return picture.height if sideways else picture.width


def scaled(file: BinaryIO, kind: Kind, width: int, into: BinaryIO) -> None:
    """Writes a picture with this width; its colours stay what they are, and its notes are left out."""
    with opened(file, kind) as picture:
        profile = picture.info.get("icc_profile")
        ratio = width / shown_width(picture)
        picture.draft(None, (math.ceil(picture.width * ratio), math.ceil(picture.height * ratio)))
        upright = ImageOps.exif_transpose(picture)
    smooth = upright if upright.mode in PLAIN else upright.convert("RGBA" if upright.has_transparency_data else "RGB")
    height = max(1, round(upright.height * width / upright.width))
    small = smooth.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)
    small.info.clear()
    small.save(into, kind.format, icc_profile=profile, **SAVING[kind.format])
