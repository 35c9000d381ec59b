"""A large file costs time and disk, and no memory to speak of."""

import asyncio
import os
from pathlib import Path

import httpx

from tests.support.processes import ServerProcess
from tests.support.uploads import PDF

SIZE = int(os.environ.get("UPLOAD_TEST_BYTES", 200 * 2**20))
"""Bytes of the file that is sent."""
PIECE = os.urandom(2**16)


def memory(process: int, kind: str) -> int:
    """Return the memory in KiB that a process uses, or used at most."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(kind))


async def body():
    yield b'--limit\r\nContent-Disposition: form-data; name="file"; filename="large.pdf"\r\n\r\n' + PDF[:-6]
    for _ in range(SIZE // len(PIECE)):
        yield PIECE
    yield PDF[-6:] + b"\r\n--limit--\r\n"


async def test_a_large_file_is_uploaded_and_downloaded_in_bounded_memory(tmp_path, sqlite_url):
    """The peak is less than 20 MB above that of a small file."""
    async with (
        ServerProcess(tmp_path, sqlite_url, UPLOAD_MAX_BYTES=str(2**31 - 1)) as server,
        httpx.AsyncClient(base_url=server.address, timeout=300) as http,
    ):
        ann = {"name": "Ann", "email": "ann@example.com", "password": "correct horse battery"}
        token = (await http.post("/api/auth/register", json=ann)).json()["data"]["accessToken"]
        headers = {"Authorization": f"Bearer {token}"}
        small = await http.post("/api/upload", files={"file": ("a.pdf", PDF)}, headers=headers)
        assert (await http.get(small.json()["url"])).content == PDF
        process = server.process.pid
        await asyncio.to_thread(Path(f"/proc/{process}/clear_refs").write_text, "5")  # forget the highest so far
        before = memory(process, "VmRSS")
        headers["Content-Type"] = "multipart/form-data; boundary=limit"
        response = await http.post("/api/upload", content=body(), headers=headers)
        assert response.status_code == 201, response.text
        received = 0
        async with http.stream("GET", response.json()["url"]) as served:
            async for piece in served.aiter_raw():
                received += len(piece)
        grown = memory(process, "VmHWM") - before
        print(f"\n{SIZE:,} bytes: {before:,} KiB before, {grown:,} KiB more at most")
    assert received == response.json()["size"] == SIZE // len(PIECE) * len(PIECE) + len(PDF)
    assert grown < 20_000_000 / 1024
