"""Files to upload, and functions that upload them."""

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


def make_image(media_type: str = "image/png", size: tuple[int, int] = (64, 48), **options: Any) -> bytes:
    """Return an image file that shows a gradient."""
    image = Image.linear_gradient("L").resize(size).convert(options.pop("mode", "RGB"))
    file = io.BytesIO()
    image.save(file, FORMATS[media_type], **options)
    return file.getvalue()


def make_animation(media_type: str = "image/webp", frames: int = 3, **options: Any) -> bytes:
    """Return an image file whose frames have different colours."""
    first, *others = [Image.new("RGB", (20, 10), (40 * index % 256, 0, 0)) for index in range(frames)]
    file = io.BytesIO()
    first.save(file, FORMATS[media_type], save_all=True, append_images=others, duration=50, **options)
    return file.getvalue()


def make_exif(orientation: int = 1) -> Image.Exif:
    """Return Exif with GPS, as cameras write it."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "Camera & Co"
    exif.get_ifd(0x8769)[0x9003] = "2026:01:02 03:04:05"
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 6.5), 3: "E", 4: (13.0, 24.0, 18.0), 29: "2026:01:02"})
    return exif


def make_private_image(media_type: str, orientation: int = 1, **options: Any) -> bytes:
    """Return an image file with GPS in its Exif and in its XMP."""
    if media_type == "image/png":
        text = PngImagePlugin.PngInfo()
        text.add_itxt("XML:com.adobe.xmp", XMP.decode(), zip=options.pop("zip", False))
        return make_image(media_type, exif=make_exif(orientation), pnginfo=text, **options)
    return make_image(media_type, exif=make_exif(orientation), xmp=XMP, **options)


@cache
def srgb_profile() -> bytes:
    """Return the ICC profile of sRGB."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def make_png(width: int, height: int, data: bytes) -> bytes:
    """Return a PNG that claims this size, whatever its image data are."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = png_chunk(b"IHDR", head) + png_chunk(b"IDAT", data) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def make_form(*parts: tuple[str, bytes], boundary: str = "limit", end: bytes = b"--") -> bytes:
    """Return a multipart body. Each part is its headers and its content."""
    lines = b"".join(b"--limit\r\n" + headers.encode() + b"\r\n\r\n" + content + b"\r\n" for headers, content in parts)
    return lines.replace(b"--limit", b"--" + boundary.encode()) + b"--" + boundary.encode() + end + b"\r\n"


async def post_files(
    http: httpx.AsyncClient, viewer: Account | None, *files: Any, name: str = "file", **options: Any
) -> httpx.Response:
    """Upload files as a browser does; each is a filename, its content and its media type."""
    headers = {**bearer(viewer), **options.pop("headers", {})}
    return await http.post("/api/upload", files=[(name, file) for file in files], headers=headers, **options)


async def upload_file(http: httpx.AsyncClient, viewer: Account, content: bytes, media_type: str = "image/png") -> dict:
    """Upload a file, and return the response once it is accepted."""
    ending = ENDINGS.get(media_type, "pdf")
    response = await post_files(http, viewer, (f"a.{ending}", content, media_type))
    assert response.status_code == 201, response.text
    return response.json()
