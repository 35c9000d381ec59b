"""Storage in a folder and in S3, outages of storage and database, crashes, and the cleanup of files."""

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

from gateway.adapters.storage import create_storage
from models import PostUpload, RefreshToken, Upload, User, utcnow
from models.errors import Unavailable
from resolvers import cleanup
from resolvers.cleanup import CleanupResult, delete_orphans
from tests.support.processes import ServerProcess
from tests.support.stores import free_port, wait_for_port
from tests.support.uploads import PDF, make_image, post_files, upload_file
from tests.support.waiting import TEST_TIMEOUT_SECONDS
from tests.support.writing import CONTENT, change_row, count_rows

KEYS = {"AWS_ACCESS_KEY_ID": "an id", "AWS_SECRET_ACCESS_KEY": "a key", "AWS_DEFAULT_REGION": "us-east-1"}
BUCKET = "uploads"


class S3:
    """The S3 server of these tests."""

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
        server = S3(f"http://127.0.0.1:{port}")
        server.client.create_bucket(Bucket=BUCKET)
        yield server
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def bucket(s3: S3, monkeypatch: pytest.MonkeyPatch) -> S3:
    """Empty the bucket, and configure its server in the environment."""
    for name in s3.names():
        s3.client.delete_object(Bucket=BUCKET, Key=name)
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": s3.endpoint}.items():
        monkeypatch.setenv(name, value)
    return s3


def stored_name(url: str) -> str:
    return url.removeprefix("/uploads/")


async def test_s3_stores_files_under_the_configured_prefix(bucket, make_server, author):
    """Amazon's own library reads them."""
    server = await make_server(upload_url=f"s3://{BUCKET}/some/prefix")
    content = make_image(size=(800, 400))
    upload = await upload_file(server.anonymous, author, content)
    assert bucket.names() == [f"some/prefix/{stored_name(upload['url'])}"]
    assert bucket.content(bucket.names()[0]) == content
    assert (await server.anonymous.get(upload["url"])).content == content
    part = await server.anonymous.get(upload["url"], headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, content[10:20])
    small = await server.anonymous.get(upload["url"], params={"w": "320"})
    assert bucket.content(f"some/prefix/320/{stored_name(upload['url'])}") == small.content


async def test_a_large_file_is_a_multipart_upload_in_s3(bucket, make_server, author):
    server = await make_server(upload_url=f"s3://{BUCKET}", upload_max_bytes=20_000_000)
    content = PDF[:-6] + os.urandom(12_000_000) + b"\n%%EOF\n"
    upload = await upload_file(server.anonymous, author, content, "application/pdf")
    meta = bucket.client.head_object(Bucket=BUCKET, Key=stored_name(upload["url"]))
    assert (meta["ContentLength"], bucket.content(stored_name(upload["url"])) == content) == (len(content), True)
    assert meta["ETag"].endswith('-3"')
    assert (await server.anonymous.get(upload["url"])).content == content


async def test_an_outage_of_s3_is_a_503_and_no_row_is_written(bucket, make_server, author, monkeypatch):
    """For one file and for several."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    server = await make_server(upload_url=f"s3://{BUCKET}")
    for name in ("file", "files"):
        response = await post_files(server.anonymous, author, ("a.png", make_image(), "image/png"), name=name)
        assert (response.status_code, response.json()["code"]) == (503, "UNAVAILABLE")
        assert response.headers["retry-after"]
    assert await count_rows(server.db, [Upload]) == {"uploads": 0}


async def test_downloads_return_503_and_not_404_while_s3_is_unavailable(bucket, make_server, author, monkeypatch):
    server = await make_server(upload_url=f"s3://{BUCKET}")
    upload = await upload_file(server.anonymous, author, make_image(size=(400, 400)))
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    other = await make_server(upload_url=f"s3://{BUCKET}")
    for params in ({}, {"w": "160"}):
        response = await other.anonymous.get(upload["url"], params=params)
        assert (response.status_code, response.json()["code"]) == (503, "UNAVAILABLE")
        assert response.headers["cache-control"] == "no-store"


@pytest.fixture
async def folder(tmp_path, make_server):
    """Start a server that stores files in a folder of this test."""
    return await make_server(upload_url=f"file:{tmp_path}/files")


def files(tmp_path: Path) -> list[str]:
    root = tmp_path / "files"
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


async def test_a_failed_insert_leaves_no_file(folder, tmp_path, author, monkeypatch):
    """The account is deleted while the file is stored."""
    storage = folder.app.state.gateway.storage
    put = storage.put

    async def put_and_delete_account(name: str, content: BinaryIO) -> None:
        await put(name, content)
        assert files(tmp_path) == [name]
        async with folder.db.writing() as session:
            await session.execute(delete(RefreshToken))
            await session.execute(delete(User))

    monkeypatch.setattr(storage, "put", put_and_delete_account)
    response = await post_files(folder.anonymous, author, ("a.png", make_image(), "image/png"))
    assert (response.status_code, response.json()["code"]) == (401, "UNAUTHORIZED")
    assert files(tmp_path) == []


async def test_a_database_outage_leaves_the_file_to_the_cleanup(folder, tmp_path, author, monkeypatch):
    """The server cannot know whether the row was written, so the file stays until the next cleanup."""
    gateway = folder.app.state.gateway
    monkeypatch.setattr(gateway.db, "writing", raise_unavailable)
    response = await post_files(folder.anonymous, author, ("a.png", make_image(), "image/png"))
    assert (response.status_code, response.json()["code"]) == (503, "UNAVAILABLE")
    (left,) = files(tmp_path)
    assert await delete_orphans(folder.db, gateway.storage) == CleanupResult(0, 0)
    day = (utcnow() - timedelta(hours=25)).timestamp()
    os.utime(tmp_path / "files" / left, (day, day))
    assert await delete_orphans(folder.db, gateway.storage) == CleanupResult(0, 1)
    assert files(tmp_path) == []


@asynccontextmanager
async def raise_unavailable() -> AsyncIterator[None]:
    raise Unavailable
    yield


async def test_a_full_disk_is_a_503(make_server, tmp_path, author):
    (tmp_path / "files").mkdir()
    server = await make_server(upload_url=f"file:{tmp_path}/files")
    (tmp_path / "files").rmdir()
    (tmp_path / "files").write_text("in the way")
    response = await post_files(server.anonymous, author, ("a.png", make_image(), "image/png"))
    assert (response.status_code, response.json()["code"]) == (503, "UNAVAILABLE")
    assert await count_rows(server.db, [Upload]) == {"uploads": 0}


async def test_the_cleanup_deletes_uploads_that_were_unattached_for_a_day(folder, tmp_path, graphql, author):
    """Their thumbnails too. Newer and attached uploads stay."""
    loose, young, used = [await upload_file(folder.anonymous, author, make_image(size=(400, 300))) for _ in range(3)]
    for upload in (loose, young, used):
        await folder.anonymous.get(upload["url"], params={"w": "160"})
    await graphql.create(author, title="A title", content=CONTENT, uploadIds=[used["id"]])
    for upload in (loose, used):
        await change_row(folder.db, Upload, upload["id"], unattached_since=utcnow() - timedelta(hours=25))
    assert await delete_orphans(folder.db, folder.app.state.gateway.storage) == CleanupResult(1, 0)
    left = [stored_name(upload["url"]) for upload in (young, used)]
    assert files(tmp_path) == sorted([*left, *(f"160/{name}" for name in left)])
    assert (await folder.anonymous.get(loose["url"])).status_code == 404
    assert (await folder.anonymous.get(used["url"])).status_code == 200
    assert await delete_orphans(folder.db, folder.app.state.gateway.storage) == CleanupResult(0, 0)


async def test_the_cleanup_deletes_files_without_a_row(folder, tmp_path, author):
    """A crash may leave them. Files that may belong to a running upload stay, and so do other files."""
    upload = await upload_file(folder.anonymous, author, make_image())
    old, new = ("00000000-0000-4000-8000-00000000000" + digit + ".png" for digit in "12")
    root, day = tmp_path / "files", (utcnow() - timedelta(hours=25)).timestamp()
    (root / "320").mkdir()
    for name in (old, new, f"320/{old}", "notes.txt", f"{old}#1", f"{new}#1", stored_name(upload["url"])):
        (root / name).write_bytes(b"left behind") if name != stored_name(upload["url"]) else None
        if new not in name:
            os.utime(root / name, (day, day))
    assert await delete_orphans(folder.db, folder.app.state.gateway.storage) == CleanupResult(0, 2)
    assert files(tmp_path) == sorted([new, f"{new}#1", "notes.txt", stored_name(upload["url"])])


async def test_concurrent_cleanups_delete_no_upload_that_is_being_attached(
    folder, tmp_path, graphql, author, monkeypatch
):
    monkeypatch.setattr(cleanup, "FILE_BATCH_SIZE", 2)
    uploads = [await upload_file(folder.anonymous, author, make_image()) for _ in range(8)]
    for upload in uploads:
        await change_row(folder.db, Upload, upload["id"], unattached_since=utcnow() - timedelta(hours=25))
    storage = folder.app.state.gateway.storage
    tries = [graphql.create(author, title="Mine", content=CONTENT, uploadIds=[upload["id"]]) for upload in uploads]
    results = await asyncio.gather(*(delete_orphans(folder.db, storage) for _ in range(3)), *tries)
    swept, posts = sum(each.uploads for each in results[:3]), [post for post in results[3:] if isinstance(post, dict)]
    assert swept + len(posts) == len(uploads)
    assert await count_rows(folder.db, [Upload, PostUpload]) == {"uploads": len(posts), "post_uploads": len(posts)}
    shown = [(await graphql.post(author, post["id"]))["uploads"][0]["url"] for post in posts]
    assert files(tmp_path) == sorted(map(stored_name, shown))


async def test_the_cleanup_stops_during_an_outage_of_storage(bucket, make_server, author, monkeypatch):
    """The next cleanup finds the files that are left, without their rows."""
    server = await make_server(upload_url=f"s3://{BUCKET}")
    upload = await upload_file(server.anonymous, author, make_image())
    await change_row(server.db, Upload, upload["id"], unattached_since=utcnow() - timedelta(hours=25))
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(Unavailable):
        await delete_orphans(server.db, create_storage(f"s3://{BUCKET}"))
    monkeypatch.setattr(cleanup, "GRACE_PERIOD", timedelta(0))
    assert await delete_orphans(server.db, server.app.state.gateway.storage) == CleanupResult(0, 1)
    assert bucket.names() == []


async def test_a_crash_during_an_upload_leaves_no_row_and_no_file(tmp_path, sqlite_url):
    """The server works again after a restart."""
    body = b'--limit\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\n\r\n' + PDF
    async with ServerProcess(tmp_path, sqlite_url) as server:
        async with httpx.AsyncClient(base_url=server.address) as http:
            ann = {"name": "Ann", "email": "ann@example.com", "password": "correct horse battery"}
            token = (await http.post("/api/auth/register", json=ann)).json()["data"]["accessToken"]
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "multipart/form-data; boundary=limit"}
            halfway = asyncio.Event()

            async def endless():
                yield body
                for _ in range(5):
                    yield os.urandom(200_000)
                halfway.set()
                await asyncio.sleep(3600)

            sending = asyncio.create_task(http.post("/api/upload", content=endless(), headers=headers))
            async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
                await halfway.wait()
            await server.kill()
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        assert list(tmp_path.rglob("*.pdf*")) == []
        await server.start()
        async with httpx.AsyncClient(base_url=server.address) as http:
            response = await http.post(
                "/api/upload",
                files={"file": ("a.pdf", PDF, "application/pdf")},
                headers={"Authorization": f"Bearer {token}"},
            )
            assert response.status_code == 201
            assert (await http.get(response.json()["url"])).content == PDF
