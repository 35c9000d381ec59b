"""What is refused, each with its own 4xx; and of what is refused nothing is kept."""

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
from tests.support.servers import KEPT, ORIGIN
from tests.support.writing import sizes
from tests.uploads.files import PDF, animation, chunk, form, picture, png_of, send

INVALID, TOO_LARGE, UNSUPPORTED = (
    (400, "VALIDATION_ERROR"),
    (413, "PAYLOAD_TOO_LARGE"),
    (415, "UNSUPPORTED_MEDIA_TYPE"),
)
FILE = 'Content-Disposition: form-data; name="file"; filename="a.png"'
FILES = FILE.replace('"file"', '"files"')
MULTIPART = "multipart/form-data; boundary=limit"
PNG, JPEG, WEBP = picture("image/png"), picture("image/jpeg"), picture("image/webp")


def archive() -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as made:
        made.writestr("a.txt", "Only words.")
    return written.getvalue()


def with_text(words: bytes) -> bytes:
    """A picture with words near its start, where browsers would look for them."""
    return PNG[:33] + chunk(b"tEXt", b"Comment\0" + words) + PNG[33:]


def many_scans() -> bytes:
    """A picture whose last scan is sent again and again: each goes over all of it."""
    whole = picture("image/jpeg", progressive=True)
    return whole[:-2] + whole[whole.rindex(b"\xff\xda") : -2] * 60 + whole[-2:]


def crc_broken() -> bytes:
    at = PNG.index(b"IDAT") + 12
    return PNG[:at] + bytes([PNG[at] ^ 255]) + PNG[at + 1 :]


WRONG_FILES: dict[str, tuple[str, bytes, str, tuple[int, str]]] = {
    "nothing in it": ("a.png", b"", "image/png", INVALID),
    "words": ("a.txt", b"Only words.", "text/plain", UNSUPPORTED),
    "words that claim to be a picture": ("a.png", b"Only words.", "image/png", UNSUPPORTED),
    "a page": ("a.html", b"<!doctype html><script>alert(1)</script>", "text/html", UNSUPPORTED),
    "a page that claims to be a picture": ("a.png", b"<html><script>alert(1)</script>", "image/png", UNSUPPORTED),
    "an SVG": ("a.svg", b'<svg xmlns="http://www.w3.org/2000/svg"/>', "image/svg+xml", UNSUPPORTED),
    "an SVG with a declaration": ("a.svg", b'<?xml version="1.0"?><svg/>', "image/svg+xml", UNSUPPORTED),
    "a program": ("a.exe", b"MZ" + bytes(200), "application/octet-stream", UNSUPPORTED),
    "an ELF program": ("a", b"\x7fELF" + bytes(200), "application/octet-stream", UNSUPPORTED),
    "a script": ("a.sh", b"#!/bin/sh\nrm -rf /\n", "text/x-sh", UNSUPPORTED),
    "an archive": ("a.zip", archive(), "application/zip", UNSUPPORTED),
    "a GIF, which is not allowed here": ("a.gif", picture("image/gif"), "image/gif", UNSUPPORTED),
    "an AVIF, which is not allowed here": ("a.avif", picture("image/avif"), "image/avif", UNSUPPORTED),
    "zeros": ("a.png", bytes(5_000), "image/png", UNSUPPORTED),
    "JSON": ("a.json", b'{"a": 1}', "application/json", UNSUPPORTED),
    "a type that contradicts the bytes": ("a", PNG, "image/jpeg", UNSUPPORTED),
    "a document that claims to be a picture": ("a", PDF, "image/png", UNSUPPORTED),
    "a picture that claims to be a page": ("a", PNG, "text/html", UNSUPPORTED),
    "an ending that contradicts the bytes": ("a.jpg", PNG, "application/octet-stream", UNSUPPORTED),
    "an ending of pages": ("a.html", PNG, "image/png", UNSUPPORTED),
    "an ending of programs": ("a.exe", PNG, "image/png", UNSUPPORTED),
    "an ending of what is compressed": ("a.png.gz", PNG, "image/png", UNSUPPORTED),
    "a picture and an archive": ("a.png", PNG + archive(), "image/png", UNSUPPORTED),
    "a JPEG and an archive": ("a.jpg", JPEG + archive(), "image/jpeg", UNSUPPORTED),
    "a document and an archive": ("a.pdf", PDF + archive(), "application/pdf", UNSUPPORTED),
    "a picture and a page": ("a.png", with_text(b"<script>alert(1)</script>"), "image/png", UNSUPPORTED),
    "a picture and a program for the web": ("a.png", with_text(b"<?php system(1);"), "image/png", UNSUPPORTED),
    "a picture and a document": ("a.png", with_text(b"%PDF-1.4"), "image/png", UNSUPPORTED),
    "a document after something else": ("a.pdf", b"\n" * 10 + PDF, "application/pdf", UNSUPPORTED),
    "half a PNG": ("a.png", PNG[: len(PNG) // 2], "image/png", INVALID),
    "a PNG without its end": ("a.png", PNG[:-12], "image/png", INVALID),
    "half a JPEG": ("a.jpg", JPEG[: len(JPEG) // 2], "image/jpeg", INVALID),
    "half a WebP": ("a.webp", WEBP[: len(WEBP) // 2], "image/webp", INVALID),
    "half an animation": ("a.webp", animation()[:-40], "image/webp", INVALID),
    "only a JPEG's first bytes": ("a.jpg", b"\xff\xd8\xff\xe0", "image/jpeg", INVALID),
    "only a PNG's first bytes": ("a.png", PNG[:8], "image/png", INVALID),
    "a sum that is wrong": ("a.png", crc_broken(), "image/png", INVALID),
    "data that end too soon": ("a.png", png_of(100, 100, zlib.compress(bytes(30_100))[:-9]), "image/png", INVALID),
    "rows that are missing": ("a.png", png_of(100, 100, zlib.compress(bytes(301 * 99))), "image/png", INVALID),
    "a row that is cut short": ("a.png", png_of(100, 100, zlib.compress(bytes(30_099))), "image/png", INVALID),
    "no rows": ("a.png", png_of(100, 100, zlib.compress(b"")), "image/png", INVALID),
    "no pixels": ("a.png", png_of(0, 0, zlib.compress(b"")), "image/png", INVALID),
    "half a document": ("a.pdf", PDF[:60], "application/pdf", INVALID),
    "a bomb of pixels": ("a.png", png_of(60_000, 60_000, zlib.compress(bytes(1000))), "image/png", TOO_LARGE),
    "a bomb of one row": ("a.png", png_of(2**31 - 1, 1, zlib.compress(bytes(1000))), "image/png", TOO_LARGE),
    "a bomb of scans": ("a.jpg", many_scans(), "image/jpeg", INVALID),
    "a bomb of comments": ("a.jpg", JPEG[:2] + b"\xff\xfe\0\2" * 1_001 + JPEG[2:], "image/jpeg", INVALID),
    "a bomb of padding": ("a.jpg", JPEG[:2] + b"\xff" * 70_000 + JPEG[2:], "image/jpeg", INVALID),
    "a bomb of chunks": ("a.png", PNG[:33] + chunk(b"prVt", b"") * 120 + PNG[33:], "image/png", INVALID),
    "too many bytes": ("a.pdf", PDF + b"\n" * 100_000, "application/pdf", TOO_LARGE),
}


@pytest.fixture
async def small(make_server):
    """A server that takes files of up to 100,000 bytes."""
    return await make_server(upload_max_bytes=100_000)


def files() -> list[Path]:
    return [path for path in Path(KEPT.name).rglob("*") if path.is_file()]


async def nothing_kept(server) -> bool:
    async with server.db.reading() as session:
        known = set(await session.scalars(select(Upload.name)))
    return known == set() and files() == []


@pytest.fixture(autouse=True)
def no_files() -> None:
    for path in files():
        path.unlink()


async def test_files_that_are_not_what_they_should_be(small, author):
    """Each is refused with its own code, and the types that would do."""
    told = {}
    for name, (filename, content, claimed, _) in WRONG_FILES.items():
        answer = await send(small.anonymous, author, (filename, content, claimed))
        told[name] = answer.status_code, answer.json().get("code")
        if answer.status_code == 415:
            accepted = ["image/jpeg", "image/png", "image/webp", "application/pdf"]
            assert answer.json()["details"] == {"accepted": accepted}
            assert "Accepted types: image/jpeg, image/png, image/webp, application/pdf" in answer.json()["error"]
    assert told == {name: refusal for name, (*_, refusal) in WRONG_FILES.items()}
    assert await nothing_kept(small)


GIF, AVIF = picture("image/gif"), picture("image/avif")
CUT_SHORT = {
    "half a GIF": ("a.gif", GIF[: len(GIF) // 2]),
    "an animation without its last frame's end": ("a.gif", animation("image/gif")[:-6]),
    "half an animation": ("a.gif", animation("image/gif")[: len(animation("image/gif")) // 2]),
    "an animation without its last frame": ("a.gif", animation("image/gif")[:-51]),
    "an animation without its end": ("a.gif", animation("image/gif")[:-1]),
    "half an AVIF": ("a.avif", AVIF[: len(AVIF) // 2]),
}


async def test_of_other_formats_too_half_is_not_the_whole(make_server, author):
    server = await make_server(upload_types="gif,avif")
    told = {}
    for name, (filename, content) in CUT_SHORT.items():
        answer = await send(server.anonymous, author, (filename, content, "application/octet-stream"))
        told[name] = answer.status_code, answer.json().get("code")
    assert told == dict.fromkeys(CUT_SHORT, INVALID)
    assert await nothing_kept(server)


LARGE_FRAME = b"GIF89a" + struct.pack("<HHBBB", 10, 10, 0x80, 0, 0) + bytes(6) + b"!\xf9\4\x08" + bytes(4)
LARGE_FRAME += b"," + struct.pack("<HHHHB", 0, 0, 30_000, 30_000, 0) + b"\2\1\0\0;"


async def test_a_frame_takes_no_memory_before_it_is_known_to_fit(make_server, author):
    """A few bytes of a GIF would take a gigabyte as soon as it is opened."""
    server = await make_server(upload_types="gif")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer = await send(server.anonymous, author, ("a.gif", LARGE_FRAME, "image/gif"))
    assert (answer.status_code, answer.json()["code"]) == TOO_LARGE
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


@dataclass
class Body:
    """A request, by its bytes."""

    content: bytes
    refusal: tuple[int, str]
    type: str | None = MULTIPART
    headers: dict[str, str] = field(default_factory=dict)


WRONG_BODIES = {
    "JSON": Body(b'{"file": "a"}', UNSUPPORTED, "application/json"),
    "a form of the other kind": Body(b"file=a", UNSUPPORTED, "application/x-www-form-urlencoded"),
    "a file by itself": Body(PNG, UNSUPPORTED, "image/png"),
    "no type at all": Body(form((FILE, PNG)), UNSUPPORTED, None),
    "another kind of multipart": Body(form((FILE, PNG)), UNSUPPORTED, "multipart/mixed; boundary=limit"),
    "no boundary": Body(form((FILE, PNG)), INVALID, "multipart/form-data"),
    "an empty boundary": Body(form((FILE, PNG)), INVALID, 'multipart/form-data; boundary=""'),
    "a boundary without end": Body(form((FILE, PNG)), INVALID, "multipart/form-data; boundary=" + "x" * 1000),
    "another boundary than the body's": Body(form((FILE, PNG)), INVALID, "multipart/form-data; boundary=other"),
    "no body": Body(b"", INVALID),
    "no parts": Body(b"--limit--\r\n", INVALID),
    "no last boundary": Body(form((FILE, PNG), end=b""), INVALID),
    "an end in the middle of a part": Body(form((FILE, PNG))[:-40], INVALID),
    "an end in the middle of a header": Body(b"--limit\r\nContent-Dispo", INVALID),
    "words in place of a body": Body(b"Only words.", INVALID),
    "no file, only a field": Body(form(('Content-Disposition: form-data; name="title"', b"A")), INVALID),
    "a field beside the file": Body(form((FILE, PNG), ('Content-Disposition: form-data; name="title"', b"A")), INVALID),
    "a file of another name": Body(form((FILE.replace('"file"', '"image"'), PNG)), INVALID),
    "a file without a filename": Body(form(('Content-Disposition: form-data; name="file"', PNG)), INVALID),
    "an input that was left empty": Body(
        form(('Content-Disposition: form-data; name="file"; filename=""', b"")), INVALID
    ),
    "a part without its disposition": Body(form(("Content-Type: image/png", PNG)), INVALID),
    "a part of another disposition": Body(form((FILE.replace("form-data", "attachment"), PNG)), INVALID),
    "two files as one": Body(form((FILE, PNG), (FILE, PNG)), INVALID),
    "one and several at once": Body(form((FILE, PNG), (FILES, PNG)), INVALID),
    "more than ten": Body(form(*[(FILES, PNG)] * 11), INVALID),
    "a header without end": Body(form((FILE + "x" * 20_000, PNG)), INVALID),
    "headers without end": Body(form((FILE + "\r\nX-A: b" * 20, PNG)), INVALID),
    "a header that is none": Body(form((FILE + "\r\nNo colon here", PNG)), INVALID),
    "too large by its own word": Body(b"", TOO_LARGE, headers={"Content-Length": str(10**12)}),
}


async def test_bodies_that_are_not_what_they_should_be(small, author):
    """No boundary, no file, fields that nobody asked for, ends that come too soon."""
    told = {}
    for name, body in WRONG_BODIES.items():
        headers = {**author.headers, **body.headers, **({"Content-Type": body.type} if body.type else {})}
        answer = await small.anonymous.post("/api/upload", content=body.content, headers=headers)
        told[name] = answer.status_code, answer.json()["code"]
    assert told == {name: body.refusal for name, body in WRONG_BODIES.items()}
    assert await nothing_kept(small)


async def test_a_body_is_read_no_further_than_it_may_be(small, author):
    """However long it goes on, and whatever it says of its length."""
    pieces = 0

    async def without_end() -> AsyncIterator[bytes]:
        nonlocal pieces
        yield f"--limit\r\n{FILE}\r\n\r\n".encode()
        for _ in range(10_000):
            pieces += 1
            yield bytes(10_000)

    headers = {**author.headers, "Content-Type": MULTIPART, "Content-Length": "100"}
    answer = await small.anonymous.post("/api/upload", content=without_end(), headers=headers)
    assert (answer.status_code, answer.json()["details"]) == (413, {"maxBytes": 100_000})
    assert pieces < 50
    assert await nothing_kept(small)


async def test_among_several_none_goes_on_without_end(small, author):
    """A file that is too large is passed over, up to what ten may have."""

    async def without_end() -> AsyncIterator[bytes]:
        yield f"--limit\r\n{FILES}\r\n\r\n".encode()
        for _ in range(10_000):
            yield bytes(10_000)

    headers = {**author.headers, "Content-Type": MULTIPART}
    answer = await small.anonymous.post("/api/upload", content=without_end(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == TOO_LARGE


async def test_who_may_not_upload(server, author, anonymous):
    """Nobody in particular, and whoever shows a token that is none."""
    stale = {"Authorization": "Bearer none"}
    for headers in ({}, stale):
        answer = await send(server.anonymous, anonymous, ("a.png", PNG, "image/png"), headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHORIZED")
    assert await sizes(server.db, [Upload]) == {"uploads": 0}


@pytest.mark.parametrize(
    ("origin", "status"), [(None, 403), ("https://evil.example", 403), ("null", 403), (ORIGIN, 201)]
)
async def test_a_cookie_counts_only_from_our_own_pages(server, author, origin, status):
    """Any page may make a browser send a form to us, its cookies with it."""
    headers: dict[str, Any] = {"Origin": origin} if origin else {}
    cookie = {"Cookie": f"dovetail_session={author.access_token}"}
    answer = await send(server.anonymous, None, ("a.png", PNG, "image/png"), headers={**headers, **cookie})
    assert answer.status_code == status
    assert answer.json().get("code") == ("FORBIDDEN" if status == 403 else None)


async def test_uploads_have_a_limit_of_their_own(make_server, author):
    """Refused ones count too."""
    server = await make_server(rate_limit_upload="2/hour")
    statuses = [
        (await send(server.anonymous, author, ("a.png", content, "image/png"))).status_code
        for content in (PNG, b"words", PNG)
    ]
    assert statuses == [201, 415, 429]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
async def test_uploading_is_posting(server, author, method):
    answer = await server.anonymous.request(method, "/api/upload", headers=author.headers)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
