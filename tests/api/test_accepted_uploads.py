"""Uploads that are accepted, and what is stored of them."""

import asyncio
import hashlib
import io
import re
import struct
from contextlib import suppress
from unittest.mock import ANY

import pytest
from PIL import Image

from gateway.server import timeouts
from models import Upload
from tests.support.live_server import open_live_server
from tests.support.uploads import (
    PDF,
    XMP,
    make_animation,
    make_form,
    make_image,
    make_private_image,
    png_chunk,
    post_files,
    srgb_profile,
    upload_file,
)
from tests.support.writing import count_rows

NAME = r"/uploads/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"


@pytest.mark.parametrize(
    ("filename", "content", "declared_type", "type", "suffix"),
    [
        ("a.jpg", make_image("image/jpeg"), "image/jpeg", "image/jpeg", "jpg"),
        ("a.jpeg", make_image("image/jpeg"), "image/jpg", "image/jpeg", "jpg"),
        ("a.png", make_image("image/png"), "image/png", "image/png", "png"),
        ("a.webp", make_image("image/webp"), "image/webp", "image/webp", "webp"),
        ("moving.webp", make_animation("image/webp"), "image/webp", "image/webp", "webp"),
        ("a.pdf", PDF, "application/pdf", "application/pdf", "pdf"),
        ("no ending", make_image("image/png"), "application/octet-stream", "image/png", "png"),
    ],
)
async def test_a_file_without_metadata_is_stored_unchanged(
    server, author, filename, content, declared_type, type, suffix
):
    """Its type is detected from its content."""
    response = await post_files(server.anonymous, author, (filename, content, declared_type))
    assert (response.status_code, response.json()) == (
        201,
        {"success": True, "id": ANY, "url": ANY, "filename": filename, "size": len(content), "type": type},
    )
    url = response.json()["url"]
    assert re.fullmatch(rf"{NAME}\.{suffix}", url)
    served = await server.anonymous.get(url)
    assert (served.status_code, served.headers["content-type"], served.content) == (200, type, content)


@pytest.mark.parametrize(
    ("filename", "expected"),
    [
        ("日本語 📷.png", "日本語 📷.png"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\Ann\\photo.png", "photo.png"),
        ("gpj.\u202egnp", "gpj.gnp"),
        ('a"b;c=d.png', 'a"b;c=d.png'),
        ("می\u200cخواهم.png", "می\u200cخواهم.png"),
        ("x" * 400 + ".png", "x" * 251 + ".png"),
        ("..", "unnamed"),
        ("a\tb.png", "ab.png"),
        ("<script>alert(1)</script>.png", "script>.png"),
        ("e\u0301.png", "é.png"),
    ],
)
async def test_filenames_are_sanitized(server, author, filename, expected):
    """Any script is kept; paths, and what could break a header or the direction of text, are not."""
    escaped = filename.replace('"', "%22")
    part = f'Content-Disposition: form-data; name="file"; filename="{escaped}"'.replace("\\", "\\\\")
    body = make_form((part, make_image()))
    headers = {**author.headers, "Content-Type": "multipart/form-data; boundary=limit"}
    response = await server.anonymous.post("/api/upload", content=body, headers=headers)
    assert response.status_code == 201, response.text
    assert response.json()["filename"] == expected.replace('"', "%22")
    served = await server.anonymous.get(response.json()["url"])
    assert re.fullmatch(
        r'inline; filename="[A-Za-z0-9._ -]+"(; filename\*=UTF-8\'\'[A-Za-z0-9!#$&+.^_`|~%-]+)?',
        served.headers["content-disposition"],
    )


async def test_each_of_several_files_is_accepted_or_rejected_separately(make_server, author):
    server = await make_server(upload_max_bytes=2_000)
    response = await post_files(
        server.anonymous,
        author,
        ("a.png", make_image(), "image/png"),
        ("b.txt", b"Only text.", "text/plain"),
        ("c.pdf", PDF + b"\n" * 2_000, "application/pdf"),
        ("d.pdf", PDF, "application/pdf"),
        name="files",
    )
    assert response.status_code == 201
    first, second, third, fourth = response.json()["files"]
    assert first == {"id": ANY, "url": ANY, "filename": "a.png", "size": len(make_image()), "type": "image/png"}
    assert second == {"filename": "b.txt", "error": ANY, "code": "UNSUPPORTED_MEDIA_TYPE"}
    assert third == {"filename": "c.pdf", "error": "A file may have at most 2,000 bytes", "code": "PAYLOAD_TOO_LARGE"}
    assert (fourth["filename"], fourth["type"]) == ("d.pdf", "application/pdf")
    assert await count_rows(server.db, [Upload]) == {"uploads": 2}


PRIVATE = (b"GPS", b"52,31.1N", b"13,24.3E", b"2026:01:0", b"Camera", b"Ann", b"Berlin", b"x:xmpmeta")


def insert_segments(jpeg: bytes) -> bytes:
    """Add an IPTC block that names the city, a comment, a second image and text after the end."""
    iptc = b"Photoshop 3.0\x008BIM\4\4\0\0\0\0\0\x0b\x1c\2\x5a\0\6Berlin"
    segments = b"".join(
        b"\xff" + marker + struct.pack(">H", 2 + len(content)) + content
        for marker, content in ((b"\xed", iptc), (b"\xfe", b"Berlin"), (b"\xef", b"Berlin"))
    )
    return jpeg[:2] + segments + jpeg[2:] + jpeg + b"Berlin"


def insert_chunks(png: bytes) -> bytes:
    text = png_chunk(b"tEXt", b"Comment\0Berlin") + png_chunk(b"prVt", b"Berlin") + png_chunk(b"tIME", bytes(7))
    profile = png_chunk(b"tEXt", b"Raw profile type iptc\0Berlin")
    return png[:33] + text + png[33:-12] + profile + png[-12:] + b"Berlin"


def insert_riff_chunks(webp: bytes) -> bytes:
    content = webp[8:] + b"prVt\6\0\0\0Berlin"
    return b"RIFF" + struct.pack("<I", len(content)) + content + b"Berlin"


def insert_boxes(avif: bytes) -> bytes:
    return avif + struct.pack(">I4s", 14, b"uuid") + b"Berlin"


INSERT = {
    "image/jpeg": insert_segments,
    "image/png": insert_chunks,
    "image/webp": insert_riff_chunks,
    "image/avif": insert_boxes,
}


@pytest.mark.parametrize("media_type", INSERT)
async def test_an_image_keeps_its_pixels_orientation_and_colour_profile_and_no_other_metadata(
    make_server, author, media_type
):
    """Exif, XMP, IPTC, comments, unknown segments and data after the end are dropped."""
    server = await make_server(upload_types=("jpeg", "png", "webp", "avif"))
    content = INSERT[media_type](make_private_image(media_type, orientation=6, icc_profile=srgb_profile()))
    assert all(word in content for word in (b"52,31.1N", b"Camera", b"Ann", b"Berlin"))
    upload = await upload_file(server.anonymous, author, content, media_type)
    stored = (await server.anonymous.get(upload["url"])).content
    before, after = Image.open(io.BytesIO(content)), Image.open(io.BytesIO(stored))
    assert [word for word in PRIVATE if word in stored] == []
    assert dict(after.getexif()) == {0x0112: 6}
    assert after.info["icc_profile"] == srgb_profile()
    assert after.tobytes() == before.tobytes()
    assert upload["size"] == len(stored)
    again = await upload_file(server.anonymous, author, stored, media_type)
    assert (await server.anonymous.get(again["url"])).content == stored


@pytest.mark.parametrize("media_type", ["image/gif", "image/png", "image/webp", "image/avif"])
async def test_an_animation_loses_its_metadata_and_no_frame(make_server, author, media_type):
    server = await make_server(upload_types=("png", "webp", "gif", "avif"))
    options = {"image/gif": {"comment": b"Berlin", "loop": 7}, "image/png": {}}
    content = make_animation(media_type, **options.get(media_type, {"xmp": XMP + b"Berlin"}))
    if media_type == "image/png":
        content = insert_chunks(content)
    upload = await upload_file(server.anonymous, author, content, media_type)
    stored = (await server.anonymous.get(upload["url"])).content
    before, after = Image.open(io.BytesIO(content)), Image.open(io.BytesIO(stored))
    assert (b"Berlin" in content, b"Berlin" in stored, b"GPS" in stored) == (True, False, False)
    assert (after.n_frames, after.info.get("loop")) == (before.n_frames, before.info.get("loop"))
    for number in range(after.n_frames):
        before.seek(number)
        after.seek(number)
        assert after.tobytes() == before.tobytes()
        assert after.info.get("duration") == before.info.get("duration")


async def test_compressed_xmp_in_a_png_is_dropped(server, author):
    upload = await upload_file(server.anonymous, author, make_private_image("image/png", zip=True))
    stored = (await server.anonymous.get(upload["url"])).content
    assert stored == make_image("image/png")


def profile(color_space: bytes) -> bytes:
    return srgb_profile()[:16] + color_space + srgb_profile()[20:]


@pytest.mark.parametrize(
    ("media_type", "mode", "icc_profile", "is_kept"),
    [
        ("image/jpeg", "RGB", profile(b"RGB "), True),
        ("image/jpeg", "RGB", profile(b"RGB ") + b"\0" * 3, True),
        ("image/jpeg", "L", profile(b"GRAY"), True),
        ("image/jpeg", "CMYK", profile(b"CMYK"), True),
        ("image/jpeg", "CMYK", profile(b"CMYK").ljust(200_000, b"\0")[:3], False),
        ("image/jpeg", "RGB", profile(b"CMYK"), False),
        ("image/jpeg", "L", profile(b"RGB "), False),
        ("image/jpeg", "RGB", profile(b"RGB ") + b"something after it", False),
        ("image/jpeg", "RGB", profile(b"RGB ")[:-9], False),
        ("image/jpeg", "RGB", b"no profile" * 20, False),
        ("image/png", "RGB", profile(b"RGB "), True),
        ("image/png", "P", profile(b"RGB "), True),
        ("image/png", "LA", profile(b"GRAY"), True),
        ("image/png", "L", profile(b"RGB "), False),
        ("image/png", "RGBA", profile(b"GRAY"), False),
        ("image/webp", "RGB", profile(b"RGB "), True),
        ("image/webp", "RGB", profile(b"CMYK"), False),
    ],
)
async def test_a_colour_profile_is_kept_if_it_fits_the_image(server, author, media_type, mode, icc_profile, is_kept):
    content = make_image(media_type, mode=mode, icc_profile=icc_profile)
    upload = await upload_file(server.anonymous, author, content, media_type)
    stored = Image.open(io.BytesIO((await server.anonymous.get(upload["url"])).content))
    assert stored.info.get("icc_profile") == (icc_profile if is_kept else None)
    assert stored.tobytes() == Image.open(io.BytesIO(content)).tobytes()


async def test_a_long_colour_profile_is_kept_in_all_its_segments(server, author):
    long = struct.pack(">I", 200_000) + profile(b"CMYK")[4:].ljust(199_996, b"\1")
    content = make_image("image/jpeg", mode="CMYK", icc_profile=long)
    upload = await upload_file(server.anonymous, author, content, "image/jpeg")
    assert (await server.anonymous.get(upload["url"])).content == content


async def test_size_and_digest_are_those_of_the_stored_file(server, graphql, author):
    response = await upload_file(server.anonymous, author, make_private_image("image/jpeg"), "image/jpeg")
    stored = (await server.anonymous.get(response["url"])).content
    node = await graphql.one(
        "query($id: ID!) { node(id: $id) { ... on Upload { sha256 size } } }", author, id=response["id"]
    )
    assert node == {"sha256": hashlib.sha256(stored).hexdigest(), "size": len(stored)}


@pytest.mark.parametrize("path", ["/api/upload", "/api/posts"])
async def test_a_client_that_stalls_midway_is_disconnected(sqlite_url, monkeypatch, path):
    """Nothing is stored, and no task keeps waiting for the rest."""
    monkeypatch.setattr(timeouts, "IDLE_TIMEOUT_SECONDS", 0.3)
    part = b'--limit\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n' + make_image()
    async with open_live_server(sqlite_url) as live:
        ann = await live.account()
        content_type, begun = (
            ("multipart/form-data; boundary=limit", part) if "upload" in path else ("application/json", b"{")
        )
        lines = [f"POST {path} HTTP/1.1", "Host: a", f"Content-Type: {content_type}", "Content-Length: 100000"]
        head = "\r\n".join([*lines, f"Authorization: Bearer {ann.access_token}", "", ""])
        reader, writer = await asyncio.open_connection("127.0.0.1", int(live.address.rpartition(":")[2]))
        writer.write(head.encode() + begun)
        with suppress(ConnectionError):
            async with asyncio.timeout(10):
                assert await reader.read() == b""
        writer.close()
        async with asyncio.timeout(10):
            while live.server.server_state.tasks:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.01)
        assert await count_rows(live.db, [Upload]) == {"uploads": 0}
