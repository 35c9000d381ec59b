"""Files to send, right ones and wrong ones, and how to send them."""

import io
import struct
import zlib
from functools import cache
from typing import Any

import httpx
from PIL import Image, ImageCms, PngImagePlugin

from tests.support.accounts import Account, bearer

FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP", "image/gif": "GIF", "image/avif": "AVIF"}
ENDINGS = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp", "image/gif": "gif", "image/avif": "avif"}

PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n"
PDF += b"trailer<</Root 1 0 R>>\nstartxref\n9\n%%EOF\n"

XMP = (
    b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""'
    b' xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"'
    b' exif:GPSLatitude="52,31.1N" dc:rights="Ann">'
    b"<exif:GPSLongitude>13,24.3E</exif:GPSLongitude></rdf:Description></rdf:RDF></x:xmpmeta>"
    b'<?xpacket end="w"?>'
)


def picture(media_type: str = "image/png", size: tuple[int, int] = (64, 48), **options: Any) -> bytes:
    """A picture with something in it."""
    made = Image.linear_gradient("L").resize(size).convert(options.pop("mode", "RGB"))
    written = io.BytesIO()
    made.save(written, FORMATS[media_type], **options)
    return written.getvalue()


def animation(media_type: str = "image/webp", frames: int = 3, **options: Any) -> bytes:
    shades = [Image.new("RGB", (20, 10), (40 * index, 0, 0)) for index in range(frames)]
    written = io.BytesIO()
    shades[0].save(written, FORMATS[media_type], save_all=True, append_images=shades[1:], duration=50, **options)
    return written.getvalue()


def exif(orientation: int = 1) -> Image.Exif:
    """Notes of a camera that knew where it was."""
    notes = Image.Exif()
    notes[0x0112], notes[0x010F] = orientation, "Camera & Co"
    notes.get_ifd(0x8769)[0x9003] = "2026:01:02 03:04:05"
    notes.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 6.5), 3: "E", 4: (13.0, 24.0, 18.0), 29: "2026:01:02"})
    return notes


def located(media_type: str, orientation: int = 1, **options: Any) -> bytes:
    """A picture that says where it was taken, twice."""
    if media_type == "image/png":
        notes = PngImagePlugin.PngInfo()
        notes.add_itxt("XML:com.adobe.xmp", XMP.decode(), zip=options.pop("zip", False))
        return picture(media_type, exif=exif(orientation), pnginfo=notes, **options)
    return picture(media_type, exif=exif(orientation), xmp=XMP, **options)


@cache
def srgb() -> bytes:
    """An ICC profile."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_of(width: int, height: int, data: bytes) -> bytes:
    """A PNG that says how large it is, whatever it holds."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def form(*parts: tuple[str, bytes], boundary: str = "limit", end: bytes = b"--") -> bytes:
    """A body as it stands on the wire; each part is its headers and its content."""
    lines = b"".join(b"--limit\r\n" + headers.encode() + b"\r\n\r\n" + content + b"\r\n" for headers, content in parts)
    return lines.replace(b"--limit", b"--" + boundary.encode()) + b"--" + boundary.encode() + end + b"\r\n"


async def send(
    http: httpx.AsyncClient, viewer: Account | None, *files: Any, name: str = "file", **options: Any
) -> httpx.Response:
    """Send files as a browser does: each a name, its bytes and its type."""
    headers = {**bearer(viewer), **options.pop("headers", {})}
    return await http.post("/api/upload", files=[(name, file) for file in files], headers=headers, **options)


async def sent(http: httpx.AsyncClient, viewer: Account, content: bytes, media_type: str = "image/png") -> dict:
    """An upload that was kept."""
    ending = ENDINGS.get(media_type, "pdf")
    answer = await send(http, viewer, (f"a.{ending}", content, media_type))
    assert answer.status_code == 201, answer.text
    return answer.json()
