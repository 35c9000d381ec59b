"""Downloads from `/uploads/`: headers, ranges, caching and thumbnails."""

import asyncio
import io
import struct
from typing import Any

import pytest
from PIL import Image

from resolvers.images import decoding
from tests.support.uploads import (
    PDF,
    make_animation,
    make_exif,
    make_image,
    png_chunk,
    post_files,
    srgb_profile,
    upload_file,
)

CACHE_CONTROL = "public, max-age=31536000, immutable"
PNG = make_image()


@pytest.fixture
async def stored_image(server, author) -> dict:
    return await upload_file(server.anonymous, author, PNG)


async def test_an_image_is_served_inline_without_running_anything_in_it(server, stored_image):
    """Everyone who knows the URL can read it."""
    response = await server.anonymous.get(stored_image["url"])
    assert {name: response.headers.get(name) for name in HEADERS} == HEADERS
    assert response.headers["content-length"] == str(len(PNG))
    assert response.headers["etag"].startswith('"')
    assert "x-ratelimit-limit" not in response.headers


HEADERS = {
    "content-type": "image/png",
    "content-disposition": 'inline; filename="a.png"',
    "content-security-policy": "default-src 'none'; sandbox",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "cross-origin",
    "cache-control": CACHE_CONTROL,
    "accept-ranges": "bytes",
}


async def test_downloads_vary_by_origin_only_if_cors_is_configured(make_server, tmp_path):
    server = await make_server(cors_origins="https://front.example", upload_url=f"file:{tmp_path}")
    upload = await upload_file(server.anonymous, await server.account(), PNG)
    assert (await server.anonymous.get(upload["url"])).headers["vary"] == "Origin"
    alone = await make_server(upload_url=f"file:{tmp_path}")
    upload = await upload_file(alone.anonymous, await alone.account(), PNG)
    assert "vary" not in (await alone.anonymous.get(upload["url"])).headers


async def test_a_document_is_downloaded_under_its_filename(server, author):
    """In ASCII, and in UTF-8 for clients that support RFC 8187."""
    upload = (await post_files(server.anonymous, author, ("Bericht „Süd“.pdf", PDF, "application/pdf"))).json()
    response = await server.anonymous.get(upload["url"])
    assert response.headers["content-disposition"] == (
        "attachment; filename=\"Bericht _S_d_.pdf\"; filename*=UTF-8''Bericht%20%E2%80%9ES%C3%BCd%E2%80%9C.pdf"
    )
    assert response.headers["content-type"] == "application/pdf"


async def test_if_none_match_with_the_current_etag_returns_304(server, stored_image):
    """The ETag is strong, but a proxy that compresses the response may have made it weak."""
    etag = (await server.anonymous.get(stored_image["url"])).headers["etag"]
    for value in (etag, f'"other", W/{etag}', "*"):
        response = await server.anonymous.get(stored_image["url"], headers={"If-None-Match": value})
        assert (response.status_code, response.content, response.headers["etag"]) == (304, b"", etag)
        assert response.headers["cache-control"] == CACHE_CONTROL
    assert (await server.anonymous.get(stored_image["url"], headers={"If-None-Match": '"other"'})).status_code == 200


@pytest.mark.parametrize(
    ("range_header", "start", "stop"),
    [
        ("bytes=0-9", 0, 10),
        ("bytes=5-", 5, len(PNG)),
        ("bytes=-7", len(PNG) - 7, len(PNG)),
        ("bytes=-100000", 0, len(PNG)),
        (f"bytes={len(PNG) - 1}-999999", len(PNG) - 1, len(PNG)),
        ("Bytes=0-0", 0, 1),
    ],
)
async def test_a_range_returns_206(server, stored_image, range_header, start, stop):
    response = await server.anonymous.get(stored_image["url"], headers={"Range": range_header})
    assert (response.status_code, response.content) == (206, PNG[start:stop])
    assert response.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(PNG)}"
    assert response.headers["content-length"] == str(stop - start)


@pytest.mark.parametrize("range_header", [f"bytes={len(PNG)}-", "bytes=-0", "bytes=9-3", "bytes=99999999-"])
async def test_a_range_outside_of_the_file_returns_416(server, stored_image, range_header):
    response = await server.anonymous.get(stored_image["url"], headers={"Range": range_header})
    assert (response.status_code, response.json()["code"]) == (416, "RANGE_NOT_SATISFIABLE")
    assert response.headers["content-range"] == f"bytes */{len(PNG)}"


@pytest.mark.parametrize("range_header", ["bytes=", "bytes=a-b", "lines=1-2", "bytes=0-1,4-5", "bytes", "bytes=--1"])
async def test_an_invalid_or_multiple_range_returns_the_whole_file(server, stored_image, range_header):
    response = await server.anonymous.get(stored_image["url"], headers={"Range": range_header})
    assert (response.status_code, response.content) == (200, PNG)


async def test_if_range_with_another_etag_returns_the_whole_file(server, stored_image):
    """`If-Range` requires a strong comparison."""
    etag = (await server.anonymous.get(stored_image["url"])).headers["etag"]
    statuses = {}
    for value in (etag, f"W/{etag}", '"other"', "Sun, 22 Nov 2026 20:00:00 GMT"):
        headers = {"Range": "bytes=0-3", "If-Range": value}
        statuses[value] = (await server.anonymous.get(stored_image["url"], headers=headers)).status_code
    assert list(statuses.values()) == [206, 200, 200, 200]


async def test_head_returns_the_headers_of_get(server, stored_image):
    """It ignores ranges."""
    response = await server.anonymous.head(stored_image["url"], headers={"Range": "bytes=0-3"})
    got = await server.anonymous.get(stored_image["url"])
    assert (response.status_code, response.content) == (200, b"")
    names = [*HEADERS, "etag", "content-length"]
    assert [response.headers.get(name) for name in names] == [got.headers.get(name) for name in names]


@pytest.mark.parametrize(
    "name",
    ["none.png", "00000000-0000-4000-8000-000000000000.png", "..%2f..%2fetc%2fpasswd", "%00.png", "320/a.png", ""],
)
async def test_an_unknown_name_returns_404(server, name):
    response = await server.anonymous.get(f"/uploads/{name}")
    assert (response.status_code, response.json()["code"]) == (404, "NOT_FOUND")


async def test_a_file_missing_in_storage_returns_404(server, stored_image):
    await server.app.state.gateway.storage.remove([stored_image["url"].removeprefix("/uploads/")])
    assert (await server.anonymous.get(stored_image["url"])).status_code == 404
    assert (await server.anonymous.get(stored_image["url"], params={"w": "320"})).status_code == 404


@pytest.mark.parametrize("media_type", ["image/jpeg", "image/png", "image/webp"])
async def test_a_thumbnail_is_upright_and_keeps_the_colour_profile(server, author, media_type):
    content = make_image(media_type, (900, 1800), exif=make_exif(orientation=6), icc_profile=srgb_profile())
    upload = await upload_file(server.anonymous, author, content, media_type)
    response = await server.anonymous.get(upload["url"], params={"w": "320"})
    thumbnail = Image.open(io.BytesIO(response.content))
    assert (response.status_code, response.headers["content-type"]) == (200, media_type)
    assert (thumbnail.size, thumbnail.info["icc_profile"]) == ((320, 160), srgb_profile())
    assert dict(thumbnail.getexif()) == {}
    assert response.headers["content-length"] == str(len(response.content))
    assert {name: response.headers[name] for name in ("cache-control", "content-disposition")} == {
        "cache-control": CACHE_CONTROL,
        "content-disposition": f'inline; filename="{upload["filename"]}"',
    }
    part = await server.anonymous.get(upload["url"], params={"w": "320"}, headers={"Range": "bytes=2-5"})
    assert (part.status_code, part.content) == (206, response.content[2:6])
    whole = await server.anonymous.get(upload["url"])
    assert whole.headers["etag"] != response.headers["etag"]


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
    upload = await upload_file(server.anonymous, author, content, media_type)
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
    content = make_image(size=(400, 200))
    primaries = struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
    content = (
        content[:33] + png_chunk(b"gAMA", struct.pack(">I", 100_000)) + png_chunk(b"cHRM", primaries) + content[33:]
    )
    upload = await upload_file(server.anonymous, author, content)
    response = await server.anonymous.get(upload["url"], params={"w": "160"})
    thumbnail = Image.open(io.BytesIO(response.content))
    assert (thumbnail.info["gamma"], thumbnail.info["chromaticity"][2:4]) == (1.0, (0.68, 0.32))


async def test_concurrent_requests_create_a_thumbnail_once(server, author, monkeypatch):
    """Later requests read it from storage."""
    calls = []
    resize = decoding.resize
    monkeypatch.setattr(decoding, "resize", lambda *arguments: (calls.append(arguments), resize(*arguments)))
    upload = await upload_file(server.anonymous, author, make_image(size=(800, 400)))
    responses = await asyncio.gather(*(server.anonymous.get(upload["url"], params={"w": "320"}) for _ in range(20)))
    responses.append(await server.anonymous.get(upload["url"], params={"w": "320"}))
    assert len({response.content for response in responses}) == len(calls) == 1
    assert {response.status_code for response in responses} == {200}


async def test_a_small_image_or_an_animation_is_served_unchanged(server, author):
    for content in (PNG, make_animation()):
        media_type = "image/png" if content is PNG else "image/webp"
        upload = await upload_file(server.anonymous, author, content, media_type)
        assert (await server.anonymous.get(upload["url"], params={"w": "160"})).content == content


@pytest.mark.parametrize("width", ["0", "1", "321", "-320", "abc", "", "320.0", "99999999999", "0320", "٣٢٠"])
async def test_an_unsupported_width_is_rejected(server, stored_image, width):
    response = await server.anonymous.get(stored_image["url"], params={"w": width})
    assert (response.status_code, response.json()["details"]) == (
        400,
        {"w": ["must be one of 160, 320, 640, 960, 1280, 1920"]},
    )


async def test_a_document_has_no_thumbnails(server, author):
    upload = await upload_file(server.anonymous, author, PDF, "application/pdf")
    response = await server.anonymous.get(upload["url"], params={"w": "320"})
    assert (response.status_code, response.json()["details"]) == (400, {"w": ["Only images can be scaled"]})
