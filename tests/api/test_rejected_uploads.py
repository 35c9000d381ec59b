"""Uploads that are rejected, each with its own 4xx. Nothing of them is stored."""

import io
import resource
import struct
import zipfile
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from models import Upload
from tests.support.servers import ORIGIN, UPLOADS_FOLDER
from tests.support.uploads import PDF, make_animation, make_form, make_image, make_png, png_chunk, post_files
from tests.support.writing import count_rows

INVALID, TOO_LARGE, UNSUPPORTED = (
    (400, "VALIDATION_ERROR"),
    (413, "PAYLOAD_TOO_LARGE"),
    (415, "UNSUPPORTED_MEDIA_TYPE"),
)
FILE = 'Content-Disposition: form-data; name="file"; filename="a.png"'
FILES = FILE.replace('"file"', '"files"')
MULTIPART = "multipart/form-data; boundary=limit"
PNG, JPEG, WEBP = make_image("image/png"), make_image("image/jpeg"), make_image("image/webp")


def make_zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as zipped:
        zipped.writestr("a.txt", "Only text.")
    return file.getvalue()


def insert_text(words: bytes) -> bytes:
    """Return an image with text near its start, where browsers look for markup."""
    return PNG[:33] + png_chunk(b"tEXt", b"Comment\0" + words) + PNG[33:]


def make_scan_bomb() -> bytes:
    """Return an image that repeats its last scan. Each scan makes the decoder pass over the whole image."""
    whole = make_image("image/jpeg", progressive=True)
    return whole[:-2] + whole[whole.rindex(b"\xff\xda") : -2] * 60 + whole[-2:]


def make_corrupt_png() -> bytes:
    at = PNG.index(b"IDAT") + 12
    return PNG[:at] + bytes([PNG[at] ^ 255]) + PNG[at + 1 :]


INVALID_FILES: dict[str, tuple[str, bytes, str, tuple[int, str]]] = {
    "an empty file": ("a.png", b"", "image/png", INVALID),
    "text": ("a.txt", b"Only text.", "text/plain", UNSUPPORTED),
    "text declared as an image": ("a.png", b"Only text.", "image/png", UNSUPPORTED),
    "HTML": ("a.html", b"<!doctype html><script>alert(1)</script>", "text/html", UNSUPPORTED),
    "HTML declared as an image": ("a.png", b"<html><script>alert(1)</script>", "image/png", UNSUPPORTED),
    "an SVG": ("a.svg", b'<svg xmlns="http://www.w3.org/2000/svg"/>', "image/svg+xml", UNSUPPORTED),
    "an SVG with a declaration": ("a.svg", b'<?xml version="1.0"?><svg/>', "image/svg+xml", UNSUPPORTED),
    "a Windows program": ("a.exe", b"MZ" + bytes(200), "application/octet-stream", UNSUPPORTED),
    "an ELF program": ("a", b"\x7fELF" + bytes(200), "application/octet-stream", UNSUPPORTED),
    "a shell script": ("a.sh", b"#!/bin/sh\nrm -rf /\n", "text/x-sh", UNSUPPORTED),
    "a ZIP archive": ("a.zip", make_zip(), "application/zip", UNSUPPORTED),
    "a GIF, which UPLOAD_TYPES does not list": ("a.gif", make_image("image/gif"), "image/gif", UNSUPPORTED),
    "an AVIF, which UPLOAD_TYPES does not list": ("a.avif", make_image("image/avif"), "image/avif", UNSUPPORTED),
    "zeros": ("a.png", bytes(5_000), "image/png", UNSUPPORTED),
    "JSON": ("a.json", b'{"a": 1}', "application/json", UNSUPPORTED),
    "a declared type that contradicts the content": ("a", PNG, "image/jpeg", UNSUPPORTED),
    "a PDF declared as an image": ("a", PDF, "image/png", UNSUPPORTED),
    "an image declared as HTML": ("a", PNG, "text/html", UNSUPPORTED),
    "an extension that contradicts the content": ("a.jpg", PNG, "application/octet-stream", UNSUPPORTED),
    "the extension of HTML": ("a.html", PNG, "image/png", UNSUPPORTED),
    "the extension of a program": ("a.exe", PNG, "image/png", UNSUPPORTED),
    "the extension of a compressed file": ("a.png.gz", PNG, "image/png", UNSUPPORTED),
    "a PNG and a ZIP archive": ("a.png", PNG + make_zip(), "image/png", UNSUPPORTED),
    "a JPEG and a ZIP archive": ("a.jpg", JPEG + make_zip(), "image/jpeg", UNSUPPORTED),
    "a PDF and a ZIP archive": ("a.pdf", PDF + make_zip(), "application/pdf", UNSUPPORTED),
    "a PNG and HTML": ("a.png", insert_text(b"<script>alert(1)</script>"), "image/png", UNSUPPORTED),
    "a PNG and PHP": ("a.png", insert_text(b"<?php system(1);"), "image/png", UNSUPPORTED),
    "a PNG and a PDF": ("a.png", insert_text(b"%PDF-1.4"), "image/png", UNSUPPORTED),
    "a PDF after other content": ("a.pdf", b"\n" * 10 + PDF, "application/pdf", UNSUPPORTED),
    "half a PNG": ("a.png", PNG[: len(PNG) // 2], "image/png", INVALID),
    "a PNG without its end": ("a.png", PNG[:-12], "image/png", INVALID),
    "half a JPEG": ("a.jpg", JPEG[: len(JPEG) // 2], "image/jpeg", INVALID),
    "half a WebP": ("a.webp", WEBP[: len(WEBP) // 2], "image/webp", INVALID),
    "half an animation": ("a.webp", make_animation()[:-40], "image/webp", INVALID),
    "a JPEG without a frame": ("a.jpg", JPEG.replace(b"\xff\xc0", b"\xff\xfe"), "image/jpeg", INVALID),
    "only a JPEG's first bytes": ("a.jpg", b"\xff\xd8\xff\xe0", "image/jpeg", INVALID),
    "only a PNG's first bytes": ("a.png", PNG[:8], "image/png", INVALID),
    "a wrong checksum": ("a.png", make_corrupt_png(), "image/png", INVALID),
    "truncated image data": ("a.png", make_png(100, 100, zlib.compress(bytes(30_100))[:-9]), "image/png", INVALID),
    "a missing row": ("a.png", make_png(100, 100, zlib.compress(bytes(301 * 99))), "image/png", INVALID),
    "a truncated row": ("a.png", make_png(100, 100, zlib.compress(bytes(30_099))), "image/png", INVALID),
    "no rows": ("a.png", make_png(100, 100, zlib.compress(b"")), "image/png", INVALID),
    "no pixels": ("a.png", make_png(0, 0, zlib.compress(b"")), "image/png", INVALID),
    "half a PDF": ("a.pdf", PDF[:60], "application/pdf", INVALID),
    "a bomb of pixels": ("a.png", make_png(60_000, 60_000, zlib.compress(bytes(1000))), "image/png", TOO_LARGE),
    "a bomb of one row": ("a.png", make_png(2**31 - 1, 1, zlib.compress(bytes(1000))), "image/png", TOO_LARGE),
    "a bomb of scans": ("a.jpg", make_scan_bomb(), "image/jpeg", INVALID),
    "a bomb of comments": ("a.jpg", JPEG[:2] + b"\xff\xfe\0\2" * 1_001 + JPEG[2:], "image/jpeg", INVALID),
    "a bomb of padding": ("a.jpg", JPEG[:2] + b"\xff" * 70_000 + JPEG[2:], "image/jpeg", INVALID),
    "a bomb of chunks": ("a.png", PNG[:33] + png_chunk(b"prVt", b"") * 120 + PNG[33:], "image/png", INVALID),
    "too many bytes": ("a.pdf", PDF + b"\n" * 100_000, "application/pdf", TOO_LARGE),
}


@pytest.fixture
async def small(make_server):
    """Start a server that accepts files of up to 100,000 bytes."""
    return await make_server(upload_max_bytes=100_000)


def files() -> list[Path]:
    return [path for path in Path(UPLOADS_FOLDER.name).rglob("*") if path.is_file()]


async def is_nothing_stored(server) -> bool:
    async with server.db.reading() as session:
        known = set(await session.scalars(select(Upload.name)))
    return known == set() and files() == []


@pytest.fixture(autouse=True)
def no_files() -> None:
    for path in files():
        path.unlink()


async def test_invalid_files_are_rejected(small, author):
    """Each has its own code. An error about the type lists the accepted types."""
    errors = {}
    for name, (filename, content, declared_type, _) in INVALID_FILES.items():
        response = await post_files(small.anonymous, author, (filename, content, declared_type))
        errors[name] = response.status_code, response.json().get("code")
        if response.status_code == 415:
            accepted = ["image/jpeg", "image/png", "image/webp", "application/pdf"]
            assert response.json()["details"] == {"accepted": accepted}
            assert "Accepted types: image/jpeg, image/png, image/webp, application/pdf" in response.json()["error"]
    assert errors == {name: error for name, (*_, error) in INVALID_FILES.items()}
    assert await is_nothing_stored(small)


def set_avif_time_scale(avif: bytes, scale: int) -> bytes:
    """Return an animation with another number of time units per second."""
    header = avif.index(b"mdhd")  # of version 1, with two times of 64 bits
    assert avif[header + 4] == 1
    return avif[: header + 24] + struct.pack(">I", scale) + avif[header + 28 :]


GIF, AVIF = make_image("image/gif"), make_image("image/avif")
MALFORMED = {
    "half a GIF": ("a.gif", GIF[: len(GIF) // 2]),
    "an animation without its last frame's end": ("a.gif", make_animation("image/gif")[:-6]),
    "half an animation": ("a.gif", make_animation("image/gif")[: len(make_animation("image/gif")) // 2]),
    "an animation without its last frame": ("a.gif", make_animation("image/gif")[:-51]),
    "an animation without its end": ("a.gif", make_animation("image/gif")[:-1]),
    "half an AVIF": ("a.avif", AVIF[: len(AVIF) // 2]),
    "an AVIF without an image": ("a.avif", AVIF.replace(b"av01Color", b"noneColor")),
    "an AVIF animation with a time scale of 0": ("a.avif", set_avif_time_scale(make_animation("image/avif"), 0)),
    "an AVIF with a track of text": ("a.avif", make_animation("image/avif")[::-1].replace(b"tcip", b"txet", 1)[::-1]),
}


async def test_malformed_gifs_and_avifs_are_rejected(make_server, author):
    server = await make_server(upload_types="gif,avif")
    errors = {}
    for name, (filename, content) in MALFORMED.items():
        response = await post_files(server.anonymous, author, (filename, content, "application/octet-stream"))
        errors[name] = response.status_code, response.json().get("code")
    assert errors == dict.fromkeys(MALFORMED, INVALID)
    assert await is_nothing_stored(server)


LARGE_FRAME = b"GIF89a" + struct.pack("<HHBBB", 10, 10, 0x80, 0, 0) + bytes(6) + b"!\xf9\4\x08" + bytes(4)
LARGE_FRAME += b"," + struct.pack("<HHHHB", 0, 0, 30_000, 30_000, 0) + b"\2\1\0\0;"


async def test_the_size_of_a_frame_is_checked_before_it_takes_memory(make_server, author):
    """Opening this GIF of a few bytes would allocate a gigabyte."""
    server = await make_server(upload_types="gif")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    response = await post_files(server.anonymous, author, ("a.gif", LARGE_FRAME, "image/gif"))
    assert (response.status_code, response.json()["code"]) == TOO_LARGE
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


@dataclass
class Body:
    """A request body, and the expected error."""

    content: bytes
    error: tuple[int, str]
    type: str | None = MULTIPART
    headers: dict[str, str] = field(default_factory=dict)


INVALID_BODIES = {
    "JSON": Body(b'{"file": "a"}', UNSUPPORTED, "application/json"),
    "a URL-encoded form": Body(b"file=a", UNSUPPORTED, "application/x-www-form-urlencoded"),
    "a file by itself": Body(PNG, UNSUPPORTED, "image/png"),
    "no Content-Type": Body(make_form((FILE, PNG)), UNSUPPORTED, None),
    "another multipart type": Body(make_form((FILE, PNG)), UNSUPPORTED, "multipart/mixed; boundary=limit"),
    "no boundary": Body(make_form((FILE, PNG)), INVALID, "multipart/form-data"),
    "an empty boundary": Body(make_form((FILE, PNG)), INVALID, 'multipart/form-data; boundary=""'),
    "a very long boundary": Body(make_form((FILE, PNG)), INVALID, "multipart/form-data; boundary=" + "x" * 1000),
    "another boundary than the body's": Body(make_form((FILE, PNG)), INVALID, "multipart/form-data; boundary=other"),
    "no body": Body(b"", INVALID),
    "no parts": Body(b"--limit--\r\n", INVALID),
    "no last boundary": Body(make_form((FILE, PNG), end=b""), INVALID),
    "an end inside of a part": Body(make_form((FILE, PNG))[:-40], INVALID),
    "an end inside of a header": Body(b"--limit\r\nContent-Dispo", INVALID),
    "text": Body(b"Only text.", INVALID),
    "no file, only a field": Body(make_form(('Content-Disposition: form-data; name="title"', b"A")), INVALID),
    "a field and a file": Body(make_form((FILE, PNG), ('Content-Disposition: form-data; name="title"', b"A")), INVALID),
    "a file of another name": Body(make_form((FILE.replace('"file"', '"image"'), PNG)), INVALID),
    "a file without a filename": Body(make_form(('Content-Disposition: form-data; name="file"', PNG)), INVALID),
    "an empty file input": Body(make_form(('Content-Disposition: form-data; name="file"; filename=""', b"")), INVALID),
    "a part without Content-Disposition": Body(make_form(("Content-Type: image/png", PNG)), INVALID),
    "a part with another Content-Disposition": Body(make_form((FILE.replace("form-data", "attachment"), PNG)), INVALID),
    "two files as one": Body(make_form((FILE, PNG), (FILE, PNG)), INVALID),
    "file and files together": Body(make_form((FILE, PNG), (FILES, PNG)), INVALID),
    "eleven files": Body(make_form(*[(FILES, PNG)] * 11), INVALID),
    "a very long header": Body(make_form((FILE + "x" * 20_000, PNG)), INVALID),
    "too many headers": Body(make_form((FILE + "\r\nX-A: b" * 20, PNG)), INVALID),
    "a malformed header": Body(make_form((FILE + "\r\nNo colon here", PNG)), INVALID),
    "a Content-Length that is too large": Body(b"", TOO_LARGE, headers={"Content-Length": str(10**12)}),
}


async def test_invalid_bodies_are_rejected(small, author):
    errors = {}
    for name, body in INVALID_BODIES.items():
        headers = {**author.headers, **body.headers, **({"Content-Type": body.type} if body.type else {})}
        response = await small.anonymous.post("/api/upload", content=body.content, headers=headers)
        errors[name] = response.status_code, response.json()["code"]
    assert errors == {name: body.error for name, body in INVALID_BODIES.items()}
    assert await is_nothing_stored(small)


async def test_an_endless_body_is_read_only_up_to_the_limit(small, author):
    """The limit holds whatever `Content-Length` says."""
    pieces = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal pieces
        yield f"--limit\r\n{FILE}\r\n\r\n".encode()
        for _ in range(10_000):
            pieces += 1
            yield bytes(10_000)

    headers = {**author.headers, "Content-Type": MULTIPART, "Content-Length": "100"}
    response = await small.anonymous.post("/api/upload", content=endless(), headers=headers)
    assert (response.status_code, response.json()["details"]) == (413, {"maxBytes": 100_000})
    assert pieces < 50
    assert await is_nothing_stored(small)


async def test_an_endless_file_among_several_is_read_only_up_to_the_limit(small, author):
    """A file that is too large is skipped, up to the limit of all ten together."""

    async def endless() -> AsyncIterator[bytes]:
        yield f"--limit\r\n{FILES}\r\n\r\n".encode()
        for _ in range(10_000):
            yield bytes(10_000)

    headers = {**author.headers, "Content-Type": MULTIPART}
    response = await small.anonymous.post("/api/upload", content=endless(), headers=headers)
    assert (response.status_code, response.json()["code"]) == TOO_LARGE


async def test_anonymous_callers_and_invalid_tokens_cannot_upload(server, author, anonymous):
    stale = {"Authorization": "Bearer none"}
    for headers in ({}, stale):
        response = await post_files(server.anonymous, anonymous, ("a.png", PNG, "image/png"), headers=headers)
        assert (response.status_code, response.json()["code"]) == (401, "UNAUTHORIZED")
    assert await count_rows(server.db, [Upload]) == {"uploads": 0}


@pytest.mark.parametrize(
    ("origin", "status"), [(None, 403), ("https://evil.example", 403), ("null", 403), (ORIGIN, 201)]
)
async def test_a_cookie_is_accepted_only_with_an_allowed_origin(server, author, origin, status):
    """A page of any site can make a browser submit a form to this server, with its cookies."""
    headers: dict[str, Any] = {"Origin": origin} if origin else {}
    cookie = {"Cookie": f"dovetail_session={author.access_token}"}
    response = await post_files(server.anonymous, None, ("a.png", PNG, "image/png"), headers={**headers, **cookie})
    assert response.status_code == status
    assert response.json().get("code") == ("FORBIDDEN" if status == 403 else None)


async def test_uploads_have_their_own_rate_limit(make_server, author):
    """Rejected ones count too."""
    server = await make_server(rate_limit_upload="2/hour")
    statuses = [
        (await post_files(server.anonymous, author, ("a.png", content, "image/png"))).status_code
        for content in (PNG, b"text", PNG)
    ]
    assert statuses == [201, 415, 429]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
async def test_uploads_accept_only_post(server, author, method):
    response = await server.anonymous.request(method, "/api/upload", headers=author.headers)
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
