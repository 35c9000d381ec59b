"""What is sent is kept, byte for byte, under a name of ours."""

import asyncio
import hashlib
import io
import re
from contextlib import suppress
from unittest.mock import ANY

import pytest
from PIL import Image

from gateway.server import timeouts
from models import Upload
from tests.live.listening import listening
from tests.support.writing import sizes
from tests.uploads.files import PDF, animation, form, located, picture, send, sent

NAME = r"/uploads/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"


@pytest.mark.parametrize(
    ("filename", "content", "claimed", "type", "suffix"),
    [
        ("a.jpg", picture("image/jpeg"), "image/jpeg", "image/jpeg", "jpg"),
        ("a.jpeg", picture("image/jpeg"), "image/jpg", "image/jpeg", "jpg"),
        ("a.png", picture("image/png"), "image/png", "image/png", "png"),
        ("a.webp", picture("image/webp"), "image/webp", "image/webp", "webp"),
        ("moving.webp", animation("image/webp"), "image/webp", "image/webp", "webp"),
        ("a.pdf", PDF, "application/pdf", "application/pdf", "pdf"),
        ("no ending", picture("image/png"), "application/octet-stream", "image/png", "png"),
    ],
)
async def test_a_file_is_kept_and_served_as_it_was(server, author, filename, content, claimed, type, suffix):
    """Its type is what its bytes say."""
    answer = await send(server.anonymous, author, (filename, content, claimed))
    assert (answer.status_code, answer.json()) == (
        201,
        {"success": True, "id": ANY, "url": ANY, "filename": filename, "size": len(content), "type": type},
    )
    url = answer.json()["url"]
    assert re.fullmatch(rf"{NAME}\.{suffix}", url)
    served = await server.anonymous.get(url)
    assert (served.status_code, served.headers["content-type"], served.content) == (200, type, content)


@pytest.mark.parametrize(
    ("given", "kept"),
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
async def test_a_filename_is_data(server, author, given, kept):
    """In any script; never a path, nor anything that could break a header or a page's direction."""
    escaped = given.replace('"', "%22") if '"' in given else given
    part = f'Content-Disposition: form-data; name="file"; filename="{escaped}"'.replace("\\", "\\\\")
    body = form((part, picture()))
    headers = {**author.headers, "Content-Type": "multipart/form-data; boundary=limit"}
    answer = await server.anonymous.post("/api/upload", content=body, headers=headers)
    assert answer.status_code == 201, answer.text
    assert answer.json()["filename"] == kept.replace('"', "%22")
    served = await server.anonymous.get(answer.json()["url"])
    assert re.fullmatch(
        r'inline; filename="[A-Za-z0-9._ -]+"(; filename\*=UTF-8\'\'[A-Za-z0-9!#$&+.^_`|~%-]+)?',
        served.headers["content-disposition"],
    )


async def test_several_files_are_kept_each_by_itself(make_server, author):
    """One that is refused is told among the others."""
    server = await make_server(upload_max_bytes=2_000)
    answer = await send(
        server.anonymous,
        author,
        ("a.png", picture(), "image/png"),
        ("b.txt", b"Only words.", "text/plain"),
        ("c.pdf", PDF + b"\n" * 2_000, "application/pdf"),
        ("d.pdf", PDF, "application/pdf"),
        name="files",
    )
    assert answer.status_code == 201
    first, second, third, fourth = answer.json()["files"]
    assert first == {"id": ANY, "url": ANY, "filename": "a.png", "size": len(picture()), "type": "image/png"}
    assert second == {"filename": "b.txt", "error": ANY, "code": "UNSUPPORTED_MEDIA_TYPE"}
    assert third == {"filename": "c.pdf", "error": "A file may have at most 2,000 bytes", "code": "PAYLOAD_TOO_LARGE"}
    assert (fourth["filename"], fourth["type"]) == ("d.pdf", "application/pdf")
    assert await sizes(server.db, [Upload]) == {"uploads": 2}


@pytest.mark.parametrize("media_type", ["image/jpeg", "image/png", "image/webp", "image/avif"])
async def test_the_place_is_taken_out_of_a_picture_and_nothing_else(make_server, author, media_type):
    """Out of its Exif and its XMP; its pixels, its colours and its other notes stay."""
    server = await make_server(upload_types=("jpeg", "png", "webp", "avif"))
    profile = b"a profile of colours" + bytes(200)
    content = located(media_type, **({} if media_type == "image/avif" else {"icc_profile": profile}))
    answer = await sent(server.anonymous, author, content, media_type)
    kept = (await server.anonymous.get(answer["url"])).content
    before, after = Image.open(io.BytesIO(content)), Image.open(io.BytesIO(kept))
    assert before.getexif().get_ifd(0x8825)
    assert b"52,31.1N" in content
    assert after.getexif().get_ifd(0x8825) == {}
    assert not [word for word in (b"GPS", b"52,31.1N", b"13,24.3E", b"2026:01:02\0") if word in kept]
    assert dict(after.getexif().get_ifd(0x8769)) == {0x9003: "2026:01:02 03:04:05"}
    assert after.getexif()[0x010F] == "Camera & Co"
    assert b'dc:rights="Ann"' in kept
    assert after.info.get("icc_profile") == before.info.get("icc_profile")
    assert after.tobytes() == before.tobytes()
    assert (len(kept), answer["size"]) == (len(content), len(content))


async def test_notes_that_hide_the_place_go_altogether(server, author):
    """Compressed in a PNG, where nothing could be taken out in place."""
    answer = await sent(server.anonymous, author, located("image/png", zip=True))
    after = Image.open(io.BytesIO((await server.anonymous.get(answer["url"])).content))
    assert (after.info.get("xmp"), after.getexif().get_ifd(0x8825)) == (None, {})


async def test_what_is_told_is_of_what_is_kept(server, graphql, author):
    """The digest is that of the file without its place."""
    answer = await sent(server.anonymous, author, located("image/jpeg"), "image/jpeg")
    kept = (await server.anonymous.get(answer["url"])).content
    told = await graphql.one(
        "query($id: ID!) { node(id: $id) { ... on Upload { sha256 size } } }", author, id=answer["id"]
    )
    assert told == {"sha256": hashlib.sha256(kept).hexdigest(), "size": len(kept)}


@pytest.mark.parametrize("path", ["/api/upload", "/api/posts"])
async def test_a_client_that_stalls_midway_is_disconnected(sqlite_url, monkeypatch, path):
    """With nothing kept of what it sent, and nobody left who waits for the rest."""
    monkeypatch.setattr(timeouts, "PERIOD", 0.3)
    part = b'--limit\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n' + picture()
    async with listening(sqlite_url) as live:
        ann = await live.account()
        kind, begun = ("multipart/form-data; boundary=limit", part) if "upload" in path else ("application/json", b"{")
        lines = [f"POST {path} HTTP/1.1", "Host: a", f"Content-Type: {kind}", "Content-Length: 100000"]
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
        assert await sizes(live.db, [Upload]) == {"uploads": 0}
