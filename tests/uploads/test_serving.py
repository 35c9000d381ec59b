"""What is served at `/uploads/`: safely, in parts, once and for all."""

import asyncio
import io
import struct
from typing import Any

import pytest
from PIL import Image

from resolvers.images import decoding
from tests.uploads.files import PDF, animation, chunk, exif, picture, send, sent, srgb

KEPT = "public, max-age=31536000, immutable"
PNG = picture()


@pytest.fixture
async def stored(server, author) -> dict:
    return await sent(server.anonymous, author, PNG)


async def test_a_picture_is_shown_and_nothing_in_it_runs(server, stored):
    """To anybody who knows where it is."""
    answer = await server.anonymous.get(stored["url"])
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    assert answer.headers["content-length"] == str(len(PNG))
    assert answer.headers["etag"].startswith('"')
    assert "x-ratelimit-limit" not in answer.headers


HEADERS = {
    "content-type": "image/png",
    "content-disposition": 'inline; filename="a.png"',
    "content-security-policy": "default-src 'none'; sandbox",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "cross-origin",
    "cache-control": KEPT,
    "accept-ranges": "bytes",
}


async def test_caches_keep_a_file_for_each_origin_where_answers_name_it(make_server, tmp_path):
    """`Vary` says so once, and where no origin is ever named it says nothing."""
    server = await make_server(cors_origins="https://front.example", upload_url=f"file:{tmp_path}")
    kept = await sent(server.anonymous, await server.account(), PNG)
    assert (await server.anonymous.get(kept["url"])).headers["vary"] == "Origin"
    alone = await make_server(upload_url=f"file:{tmp_path}")
    kept = await sent(alone.anonymous, await alone.account(), PNG)
    assert "vary" not in (await alone.anonymous.get(kept["url"])).headers


async def test_a_document_is_downloaded_under_its_name(server, author):
    """In its own script, for clients that know how to read it."""
    kept = (await send(server.anonymous, author, ("Bericht „Süd“.pdf", PDF, "application/pdf"))).json()
    answer = await server.anonymous.get(kept["url"])
    assert answer.headers["content-disposition"] == (
        "attachment; filename=\"Bericht _S_d_.pdf\"; filename*=UTF-8''Bericht%20%E2%80%9ES%C3%BCd%E2%80%9C.pdf"
    )
    assert answer.headers["content-type"] == "application/pdf"


async def test_who_has_it_need_not_fetch_it_again(server, stored):
    """The tag is strong; a proxy that compressed it may have weakened it."""
    etag = (await server.anonymous.get(stored["url"])).headers["etag"]
    for given in (etag, f'"other", W/{etag}', "*"):
        answer = await server.anonymous.get(stored["url"], headers={"If-None-Match": given})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
        assert answer.headers["cache-control"] == KEPT
    assert (await server.anonymous.get(stored["url"], headers={"If-None-Match": '"other"'})).status_code == 200


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-9", 0, 10),
        ("bytes=5-", 5, len(PNG)),
        ("bytes=-7", len(PNG) - 7, len(PNG)),
        ("bytes=-100000", 0, len(PNG)),
        (f"bytes={len(PNG) - 1}-999999", len(PNG) - 1, len(PNG)),
        ("Bytes=0-0", 0, 1),
    ],
)
async def test_a_range_of_it(server, stored, asked, start, stop):
    answer = await server.anonymous.get(stored["url"], headers={"Range": asked})
    assert (answer.status_code, answer.content) == (206, PNG[start:stop])
    assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(PNG)}"
    assert answer.headers["content-length"] == str(stop - start)


@pytest.mark.parametrize("asked", [f"bytes={len(PNG)}-", "bytes=-0", "bytes=9-3", "bytes=99999999-"])
async def test_a_range_that_it_does_not_have(server, stored, asked):
    answer = await server.anonymous.get(stored["url"], headers={"Range": asked})
    assert (answer.status_code, answer.json()["code"]) == (416, "RANGE_NOT_SATISFIABLE")
    assert answer.headers["content-range"] == f"bytes */{len(PNG)}"


@pytest.mark.parametrize("asked", ["bytes=", "bytes=a-b", "lines=1-2", "bytes=0-1,4-5", "bytes", "bytes=--1"])
async def test_what_is_no_single_range_is_the_whole(server, stored, asked):
    answer = await server.anonymous.get(stored["url"], headers={"Range": asked})
    assert (answer.status_code, answer.content) == (200, PNG)


async def test_a_range_of_what_has_changed_is_the_whole(server, stored):
    """`If-Range` compares strongly."""
    etag = (await server.anonymous.get(stored["url"])).headers["etag"]
    statuses = {}
    for given in (etag, f"W/{etag}", '"other"', "Sun, 22 Nov 2026 20:00:00 GMT"):
        headers = {"Range": "bytes=0-3", "If-Range": given}
        statuses[given] = (await server.anonymous.get(stored["url"], headers=headers)).status_code
    assert list(statuses.values()) == [206, 200, 200, 200]


async def test_a_head_says_what_a_get_would(server, stored):
    """Ranges are for GET alone."""
    answer = await server.anonymous.head(stored["url"], headers={"Range": "bytes=0-3"})
    got = await server.anonymous.get(stored["url"])
    assert (answer.status_code, answer.content) == (200, b"")
    names = [*HEADERS, "etag", "content-length"]
    assert [answer.headers.get(name) for name in names] == [got.headers.get(name) for name in names]


@pytest.mark.parametrize(
    "name",
    ["none.png", "00000000-0000-4000-8000-000000000000.png", "..%2f..%2fetc%2fpasswd", "%00.png", "320/a.png", ""],
)
async def test_what_is_not_there(server, name):
    answer = await server.anonymous.get(f"/uploads/{name}")
    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")


async def test_a_file_that_storage_lost_is_not_there(server, stored):
    await server.app.state.gateway.storage.remove([stored["url"].removeprefix("/uploads/")])
    assert (await server.anonymous.get(stored["url"])).status_code == 404
    assert (await server.anonymous.get(stored["url"], params={"w": "320"})).status_code == 404


@pytest.mark.parametrize("media_type", ["image/jpeg", "image/png", "image/webp"])
async def test_a_picture_in_a_smaller_width(server, author, media_type):
    """Upright, in its colours, and without the notes of whoever took it."""
    content = picture(media_type, (900, 1800), exif=exif(orientation=6), icc_profile=srgb())
    kept = await sent(server.anonymous, author, content, media_type)
    answer = await server.anonymous.get(kept["url"], params={"w": "320"})
    made = Image.open(io.BytesIO(answer.content))
    assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)
    assert (made.size, made.info["icc_profile"]) == ((320, 160), srgb())
    assert dict(made.getexif()) == {}
    assert answer.headers["content-length"] == str(len(answer.content))
    assert {name: answer.headers[name] for name in ("cache-control", "content-disposition")} == {
        "cache-control": KEPT,
        "content-disposition": f'inline; filename="{kept["filename"]}"',
    }
    part = await server.anonymous.get(kept["url"], params={"w": "320"}, headers={"Range": "bytes=2-5"})
    assert (part.status_code, part.content) == (206, answer.content[2:6])
    whole = await server.anonymous.get(kept["url"])
    assert whole.headers["etag"] != answer.headers["etag"]


def bars(mode: str, colors: list[Any], **options: Any) -> bytes:
    """Return a PNG, or a JPEG for CMYK, of vertical bars that are 80 pixels wide."""
    image = Image.new(mode, (80 * len(colors), 200))
    for number, color in enumerate(colors):
        image.paste(color, (80 * number, 0, 80 * number + 80, 200))
    if mode == "P":
        image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    file = io.BytesIO()
    image.save(file, "JPEG" if mode == "CMYK" else "PNG", **options)
    return file.getvalue()


RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
CLEAR = "transparent"
MODES = {
    "1": (bars("1", [0, 1, 0]), "L", [0, 255, 0]),
    "1 with a transparent colour": (bars("1", [0, 1, 0], transparency=0), "LA", [CLEAR, (255, 255), CLEAR]),
    "L": (bars("L", [0, 64, 255]), "L", [0, 64, 255]),
    "L with a transparent colour": (bars("L", [0, 64, 255], transparency=64), "LA", [(0, 255), CLEAR, (255, 255)]),
    "LA": (bars("LA", [(0, 255), (64, 0), (99, 128)]), "LA", [(0, 255), CLEAR, (99, 128)]),
    "P": (bars("P", [0, 1, 2]), "RGB", [RED, GREEN, BLUE]),
    "P with a transparent entry": (
        bars("P", [0, 1, 2], transparency=1),
        "RGBA",
        [(*RED, 255), CLEAR, (*BLUE, 255)],
    ),
    "P with translucent entries": (
        bars("P", [0, 1, 2], transparency=b"\xff\x80\0"),
        "RGBA",
        [(*RED, 255), (*GREEN, 128), CLEAR],
    ),
    "RGB": (bars("RGB", [RED, GREEN, BLUE]), "RGB", [RED, GREEN, BLUE]),
    "RGB with a transparent colour": (
        bars("RGB", [RED, GREEN, BLUE], transparency=GREEN),
        "RGBA",
        [(*RED, 255), CLEAR, (*BLUE, 255)],
    ),
    "RGBA": (bars("RGBA", [(*RED, 255), (*GREEN, 128), (*BLUE, 0)]), "RGBA", [(*RED, 255), (*GREEN, 128), CLEAR]),
    "I;16": (bars("I;16", [0, 16_448, 32_896, 49_087, 65_535]), "L", [0, 64, 128, 191, 255]),
    "I;16 with a transparent value": (
        bars("I;16", [0, 16_448, 65_535], transparency=16_448),
        "LA",
        [(0, 255), CLEAR, (255, 255)],
    ),
    "CMYK": (bars("CMYK", [(0, 0, 0, 0), (255, 0, 0, 0), (0, 0, 0, 255)]), "CMYK", None),
}


@pytest.mark.parametrize(("content", "mode", "pixels"), MODES.values(), ids=MODES)
async def test_a_thumbnail_keeps_range_colours_and_transparency(server, author, content, mode, pixels):
    media_type = "image/jpeg" if mode == "CMYK" else "image/png"
    original = Image.open(io.BytesIO(content))
    upload = await sent(server.anonymous, author, content, media_type)
    response = await server.anonymous.get(upload["url"], params={"w": "160"})
    thumbnail = Image.open(io.BytesIO(response.content))
    count = original.width // 80
    assert (thumbnail.mode, thumbnail.size) == (mode, (160, round(200 * 160 / original.width)))
    for number in range(count):
        color = thumbnail.getpixel((round(160 * (number + 0.5) / count), 10))
        if pixels is None:  # JPEG is lossy
            expected = original.getpixel((80 * number + 40, 100))
            assert max(abs(a - b) for a, b in zip(color, expected, strict=True)) < 4
        else:
            assert (CLEAR if pixels[number] == CLEAR and color[-1] == 0 else color) == pixels[number]


async def test_a_thumbnail_of_a_png_keeps_its_gamma_and_primaries(server, author):
    content = picture(size=(400, 200))
    primaries = struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
    content = content[:33] + chunk(b"gAMA", struct.pack(">I", 100_000)) + chunk(b"cHRM", primaries) + content[33:]
    upload = await sent(server.anonymous, author, content)
    response = await server.anonymous.get(upload["url"], params={"w": "160"})
    thumbnail = Image.open(io.BytesIO(response.content))
    assert (thumbnail.info["gamma"], thumbnail.info["chromaticity"][2:4]) == (1.0, (0.68, 0.32))


async def test_a_width_is_made_once_however_many_ask(server, author, monkeypatch):
    """At once, and later."""
    made = []
    resize = decoding.resize
    monkeypatch.setattr(decoding, "resize", lambda *given: (made.append(given), resize(*given)))
    kept = await sent(server.anonymous, author, picture(size=(800, 400)))
    answers = await asyncio.gather(*(server.anonymous.get(kept["url"], params={"w": "320"}) for _ in range(20)))
    answers.append(await server.anonymous.get(kept["url"], params={"w": "320"}))
    assert len({answer.content for answer in answers}) == len(made) == 1
    assert {answer.status_code for answer in answers} == {200}


async def test_a_picture_is_made_no_larger_and_stands_still_no_more_than_it_did(server, author):
    """What is small already, or moves, is served as it is."""
    for content in (PNG, animation()):
        media_type = "image/png" if content is PNG else "image/webp"
        kept = await sent(server.anonymous, author, content, media_type)
        assert (await server.anonymous.get(kept["url"], params={"w": "160"})).content == content


@pytest.mark.parametrize("width", ["0", "1", "321", "-320", "abc", "", "320.0", "99999999999", "0320", "٣٢٠"])
async def test_widths_are_from_a_short_list(server, stored, width):
    answer = await server.anonymous.get(stored["url"], params={"w": width})
    assert (answer.status_code, answer.json()["details"]) == (
        400,
        {"w": ["must be one of 160, 320, 640, 960, 1280, 1920"]},
    )


async def test_documents_have_no_width(server, author):
    kept = await sent(server.anonymous, author, PDF, "application/pdf")
    answer = await server.anonymous.get(kept["url"], params={"w": "320"})
    assert (answer.status_code, answer.json()["details"]) == (400, {"w": ["Only images can be scaled"]})
