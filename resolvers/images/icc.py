"""Check that an ICC colour profile fits its image: with a wrong one, the image is shown in wrong colours."""

import zlib

from resolvers.images.structure import FRAME_MARKERS, Buffer, Segment

ICC_HEADER = b"ICC_PROFILE\0"
JPEG_COLOR_SPACES = {1: b"GRAY", 3: b"RGB ", 4: b"CMYK"}
"""The ICC colour space by the number of components."""
MAX_ICC_PROFILE_BYTES = 2**20
"""Of a compressed profile; Pillow reads no more."""


def is_fitting_profile(profile: bytes, *color_spaces: bytes) -> bool:
    """Return whether an ICC profile is complete and describes one of these colour spaces (ICC.1:2022, section 7.2)."""
    padding = len(profile) - int.from_bytes(profile[:4], "big")
    return len(profile) >= 128 and 0 <= padding < 4 and profile[36:40] == b"acsp" and profile[16:20] in color_spaces


def has_fitting_jpeg_profile(data: Buffer, segments: list[Segment]) -> bool:
    """Return whether the parts of an ICC profile are complete, in order, and fit the frame's number of components."""
    components = next(data[s.content][5] for s in segments if s.type in FRAME_MARKERS)
    parts = [data[s.content] for s in segments if s.type == b"\xe2" and data[s.content].startswith(ICC_HEADER)]
    in_order = [part[12:14] for part in parts] == [bytes((n, len(parts))) for n in range(1, len(parts) + 1)]
    return in_order and is_fitting_profile(b"".join(part[14:] for part in parts), JPEG_COLOR_SPACES[components])


def decompress_profile(content: bytes) -> bytes:
    """Return the ICC profile of an `iCCP` chunk; `b""` if it is damaged or too long."""
    decompressor = zlib.decompressobj()
    try:
        profile = decompressor.decompress(content.partition(b"\0")[2][1:], MAX_ICC_PROFILE_BYTES)
    except zlib.error:
        return b""
    return profile if decompressor.eof and not decompressor.unused_data else b""
