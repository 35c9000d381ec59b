"""The disk is full: writes are refused until there is room, and reads go on."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from models import Database
from models.migrations import upgrade
from resolvers.tokens import Tokens
from tests.chaos.clients import Clients
from tests.chaos.conftest import Scene
from tests.support.accounts import sign_up
from tests.support.processes import ServerProcess
from tests.support.servers import SECRET
from tests.support.stores import unavailable
from tests.support.uploads import make_image

pytestmark = pytest.mark.anyio

SIZE = 16
"""Mebibytes of the disk."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of this test's own."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}m", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode:
        unavailable("a file system to fill", mounted.stderr.decode().strip())
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


async def test_the_disk_is_full(disk: Path, tmp_path: Path) -> None:
    """SQLite and uploads on it: 503 for what would write, in both; and when there is room again, all goes on."""
    url = f"sqlite+aiosqlite:///{disk / 'gateway.db'}"
    await upgrade(url)
    db = Database(url)
    author = await sign_up(db, Tokens(SECRET), name="Ann Author")
    await db.close()
    server = ServerProcess(tmp_path, url, UPLOAD_URL=f"file://{disk / 'uploads'}")
    async with server, Clients(server.address, author).at_work() as clients:
        scene = Scene("the disk is full for 3 s", url, server, clients, None)
        with suppress(OSError):  # the writers are taking what is left at the same time
            (disk / "ballast").write_bytes(b"\0" * (os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize))
        await asyncio.sleep(3)
        async with httpx.AsyncClient(base_url=server.address, timeout=30) as http:
            files = {"file": ("a.png", make_image(), "image/png")}
            rejected = await http.post("/api/upload", files=files, headers=author.headers)
            assert (rejected.status_code, rejected.json()["code"]) == (503, "UNAVAILABLE")
            assert (await http.get("/api/posts")).status_code == 200
        (disk / "ballast").unlink()
        await scene.mended()
        async with httpx.AsyncClient(base_url=server.address, timeout=30) as http:
            files = {"file": ("a.png", make_image(), "image/png")}
            assert (await http.post("/api/upload", files=files, headers=author.headers)).status_code == 201
    await scene.judge(codes={"503 UNAVAILABLE", "UNAVAILABLE"})
