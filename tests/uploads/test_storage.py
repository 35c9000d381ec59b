"""Where files are kept: a folder, or S3 by its own protocol; and what happens when it is away, or we are."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

import boto3
import httpx
import pytest
from botocore.config import Config
from sqlalchemy import delete

from gateway.adapters.storage import storage_of
from models import PostUpload, RefreshToken, Upload, User, utcnow
from models.errors import Unavailable
from resolvers import cleanup
from resolvers.cleanup import Swept, sweep
from tests.support.patience import PATIENCE
from tests.support.processes import ServerProcess
from tests.support.stores import free_port, wait_for_port
from tests.support.writing import CONTENT, change_row, sizes
from tests.uploads.files import PDF, picture, send, sent

KEYS = {"AWS_ACCESS_KEY_ID": "an id", "AWS_SECRET_ACCESS_KEY": "a key", "AWS_DEFAULT_REGION": "us-east-1"}
BUCKET = "uploads"


class S3:
    """An S3 of the tests' own."""

    def __init__(self, endpoint: str) -> None:
        options = {"aws_access_key_id": "an id", "aws_secret_access_key": "a key", "region_name": "us-east-1"}
        self.endpoint = endpoint
        self.client = boto3.client("s3", endpoint_url=endpoint, config=Config(retries={"max_attempts": 1}), **options)

    def names(self) -> list[str]:
        return [found["Key"] for found in self.client.list_objects_v2(Bucket=BUCKET).get("Contents", [])]

    def content(self, name: str) -> bytes:
        return self.client.get_object(Bucket=BUCKET, Key=name)["Body"].read()


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, env={"PATH": os.environ["PATH"]}, **quiet)
    try:
        wait_for_port(port, process)
        there = S3(f"http://127.0.0.1:{port}")
        there.client.create_bucket(Bucket=BUCKET)
        yield there
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def bucket(s3: S3, monkeypatch: pytest.MonkeyPatch) -> S3:
    """The S3, empty, and named in the environment."""
    for name in s3.names():
        s3.client.delete_object(Bucket=BUCKET, Key=name)
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": s3.endpoint}.items():
        monkeypatch.setenv(name, value)
    return s3


def named(url: str) -> str:
    return url.removeprefix("/uploads/")


async def test_s3_holds_what_was_sent(bucket, make_server, author):
    """Under the prefix that the setting names; read back by Amazon's own library."""
    server = await make_server(upload_url=f"s3://{BUCKET}/some/prefix")
    content = picture(size=(800, 400))
    kept = await sent(server.anonymous, author, content)
    assert bucket.names() == [f"some/prefix/{named(kept['url'])}"]
    assert bucket.content(bucket.names()[0]) == content
    assert (await server.anonymous.get(kept["url"])).content == content
    part = await server.anonymous.get(kept["url"], headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, content[10:20])
    small = await server.anonymous.get(kept["url"], params={"w": "320"})
    assert bucket.content(f"some/prefix/320/{named(kept['url'])}") == small.content


async def test_s3_takes_a_large_file_in_parts(bucket, make_server, author):
    """Of which none is all of it."""
    server = await make_server(upload_url=f"s3://{BUCKET}", upload_max_bytes=20_000_000)
    content = PDF[:-6] + os.urandom(12_000_000) + b"\n%%EOF\n"
    kept = await sent(server.anonymous, author, content, "application/pdf")
    meta = bucket.client.head_object(Bucket=BUCKET, Key=named(kept["url"]))
    assert (meta["ContentLength"], bucket.content(named(kept["url"])) == content) == (len(content), True)
    assert meta["ETag"].endswith('-3"')
    assert (await server.anonymous.get(kept["url"])).content == content


async def test_s3_that_is_away_is_said_and_nothing_is_kept(bucket, make_server, author, monkeypatch):
    """Come again later: 503, in one file and in several; no row, nothing to see."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    server = await make_server(upload_url=f"s3://{BUCKET}")
    for name in ("file", "files"):
        answer = await send(server.anonymous, author, ("a.png", picture(), "image/png"), name=name)
        assert (answer.status_code, answer.json()["code"]) == (503, "UNAVAILABLE")
        assert answer.headers["retry-after"]
    assert await sizes(server.db, [Upload]) == {"uploads": 0}


async def test_a_file_whose_bucket_is_away_is_not_said_to_be_gone(bucket, make_server, author, monkeypatch):
    server = await make_server(upload_url=f"s3://{BUCKET}")
    kept = await sent(server.anonymous, author, picture(size=(400, 400)))
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    other = await make_server(upload_url=f"s3://{BUCKET}")
    for params in ({}, {"w": "160"}):
        answer = await other.anonymous.get(kept["url"], params=params)
        assert (answer.status_code, answer.json()["code"]) == (503, "UNAVAILABLE")
        assert answer.headers["cache-control"] == "no-store"


@pytest.fixture
async def folder(tmp_path, make_server):
    """A server that keeps files in a folder of the test's own."""
    return await make_server(upload_url=f"file:{tmp_path}/files")


def files(tmp_path: Path) -> list[str]:
    root = tmp_path / "files"
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


async def test_a_row_that_cannot_be_written_leaves_no_file(folder, tmp_path, author, monkeypatch):
    """Whoever sent it is gone by the time that the file is kept."""
    storage = folder.app.state.gateway.storage
    put = storage.put

    async def put_and_part(name: str, content: BinaryIO) -> None:
        await put(name, content)
        assert files(tmp_path) == [name]
        async with folder.db.writing() as session:
            await session.execute(delete(RefreshToken))
            await session.execute(delete(User))

    monkeypatch.setattr(storage, "put", put_and_part)
    answer = await send(folder.anonymous, author, ("a.png", picture(), "image/png"))
    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHORIZED")
    assert files(tmp_path) == []


async def test_a_database_that_goes_leaves_the_file_to_the_sweep(folder, tmp_path, author, monkeypatch):
    """Nobody can tell whether the row was written, so the file stays until it is certain."""
    gateway = folder.app.state.gateway
    monkeypatch.setattr(gateway.db, "writing", away)
    answer = await send(folder.anonymous, author, ("a.png", picture(), "image/png"))
    assert (answer.status_code, answer.json()["code"]) == (503, "UNAVAILABLE")
    (left,) = files(tmp_path)
    assert await sweep(folder.db, gateway.storage) == Swept(0, 0)
    day = (utcnow() - timedelta(hours=25)).timestamp()
    os.utime(tmp_path / "files" / left, (day, day))
    assert await sweep(folder.db, gateway.storage) == Swept(0, 1)
    assert files(tmp_path) == []


@asynccontextmanager
async def away() -> AsyncIterator[None]:
    raise Unavailable
    yield


async def test_a_disk_that_is_full_is_said(make_server, tmp_path, author):
    """Where files cannot be written, it is not the client who is wrong."""
    (tmp_path / "files").mkdir()
    server = await make_server(upload_url=f"file:{tmp_path}/files")
    (tmp_path / "files").rmdir()
    (tmp_path / "files").write_text("in the way")
    answer = await send(server.anonymous, author, ("a.png", picture(), "image/png"))
    assert (answer.status_code, answer.json()["code"]) == (503, "UNAVAILABLE")
    assert await sizes(server.db, [Upload]) == {"uploads": 0}


async def test_the_sweep_removes_what_no_post_points_at(folder, tmp_path, graphql, author):
    """A day after it was made or let go of, with all its widths; what is younger or in use stays."""
    loose, young, used = [await sent(folder.anonymous, author, picture(size=(400, 300))) for _ in range(3)]
    for upload in (loose, young, used):
        await folder.anonymous.get(upload["url"], params={"w": "160"})
    await graphql.create(author, title="A title", content=CONTENT, uploadIds=[used["id"]])
    for upload in (loose, used):
        await change_row(folder.db, Upload, upload["id"], loose_since=utcnow() - timedelta(hours=25))
    assert await sweep(folder.db, folder.app.state.gateway.storage) == Swept(1, 0)
    left = [named(upload["url"]) for upload in (young, used)]
    assert files(tmp_path) == sorted([*left, *(f"160/{name}" for name in left)])
    assert (await folder.anonymous.get(loose["url"])).status_code == 404
    assert (await folder.anonymous.get(used["url"])).status_code == 200
    assert await sweep(folder.db, folder.app.state.gateway.storage) == Swept(0, 0)


async def test_the_sweep_removes_files_that_a_crash_left_without_a_row(folder, tmp_path, author):
    """Not those of an upload that may still be under way, and nothing that is not ours."""
    kept = await sent(folder.anonymous, author, picture())
    old, new = ("00000000-0000-4000-8000-00000000000" + digit + ".png" for digit in "12")
    root, day = tmp_path / "files", (utcnow() - timedelta(hours=25)).timestamp()
    (root / "320").mkdir()
    for name in (old, new, f"320/{old}", "notes.txt", f"{old}#1", f"{new}#1", named(kept["url"])):
        (root / name).write_bytes(b"left behind") if name != named(kept["url"]) else None
        if new not in name:
            os.utime(root / name, (day, day))
    assert await sweep(folder.db, folder.app.state.gateway.storage) == Swept(0, 2)
    assert files(tmp_path) == sorted([new, f"{new}#1", "notes.txt", named(kept["url"])])


async def test_several_servers_may_sweep_while_posts_take_hold(folder, tmp_path, graphql, author, monkeypatch):
    """An upload goes to a post or to the sweep, and never to both."""
    monkeypatch.setattr(cleanup, "AT_ONCE", 2)
    uploads = [await sent(folder.anonymous, author, picture()) for _ in range(8)]
    for upload in uploads:
        await change_row(folder.db, Upload, upload["id"], loose_since=utcnow() - timedelta(hours=25))
    storage = folder.app.state.gateway.storage
    tries = [graphql.create(author, title="Mine", content=CONTENT, uploadIds=[upload["id"]]) for upload in uploads]
    told = await asyncio.gather(*(sweep(folder.db, storage) for _ in range(3)), *tries)
    swept, made = sum(each.uploads for each in told[:3]), [post for post in told[3:] if isinstance(post, dict)]
    assert swept + len(made) == len(uploads)
    assert await sizes(folder.db, [Upload, PostUpload]) == {"uploads": len(made), "post_uploads": len(made)}
    shown = [(await graphql.post(author, post["id"]))["uploads"][0]["url"] for post in made]
    assert files(tmp_path) == sorted(map(named, shown))


async def test_the_sweep_ends_early_while_storage_is_away(bucket, make_server, author, monkeypatch):
    """What it had no time to remove is found the next time, without its row."""
    server = await make_server(upload_url=f"s3://{BUCKET}")
    kept = await sent(server.anonymous, author, picture())
    await change_row(server.db, Upload, kept["id"], loose_since=utcnow() - timedelta(hours=25))
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(Unavailable):
        await sweep(server.db, storage_of(f"s3://{BUCKET}"))
    monkeypatch.setattr(cleanup, "GRACE", timedelta(0))
    assert await sweep(server.db, server.app.state.gateway.storage) == Swept(0, 1)
    assert bucket.names() == []


async def test_an_upload_that_a_crash_cut_short_leaves_nothing(tmp_path, sqlite_url):
    """Killed while the body comes in, and while it is written: no row, no file, and it serves on after."""
    body = b'--limit\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\n\r\n' + PDF
    async with ServerProcess(tmp_path, sqlite_url) as server:
        async with httpx.AsyncClient(base_url=server.address) as http:
            ann = {"name": "Ann", "email": "ann@example.com", "password": "correct horse battery"}
            token = (await http.post("/api/auth/register", json=ann)).json()["data"]["accessToken"]
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "multipart/form-data; boundary=limit"}
            halfway = asyncio.Event()

            async def without_end():
                yield body
                for _ in range(5):
                    yield os.urandom(200_000)
                halfway.set()
                await asyncio.sleep(3600)

            sending = asyncio.create_task(http.post("/api/upload", content=without_end(), headers=headers))
            async with asyncio.timeout(PATIENCE):
                await halfway.wait()
            await server.kill()
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        assert list(tmp_path.rglob("*.pdf*")) == []
        await server.start()
        async with httpx.AsyncClient(base_url=server.address) as http:
            answer = await http.post(
                "/api/upload",
                files={"file": ("a.pdf", PDF, "application/pdf")},
                headers={"Authorization": f"Bearer {token}"},
            )
            assert answer.status_code == 201
            assert (await http.get(answer.json()["url"])).content == PDF
