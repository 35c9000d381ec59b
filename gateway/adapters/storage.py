"""Storage by `UPLOAD_URL`, over `obstore`: a local folder, Amazon S3, Google Cloud Storage or Azure."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from models.errors import Unavailable
from resolvers.ports import Storage, StorageUnavailable, StoredFile

MULTIPART_CHUNK_BYTES = 5 * 2**20
"""The smallest part that S3 accepts in a multipart upload."""
CHUNK_BYTES = 2**18
LIST_BATCH_SIZE = 500
# `timeout` limits the whole request, and so how long a client may take to download a file.
CLIENT_TIMEOUTS: dict[str, Any] = {"connect_timeout": "2s", "read_timeout": "15s", "timeout": "2h"}
RETRY_CONFIG: dict[str, Any] = {"max_retries": 2, "retry_timeout": timedelta(seconds=10)}

T = TypeVar("T")


def create_storage(url: str) -> Storage:
    """Create the storage at a URL, without connecting to it."""
    scheme, path = urlsplit(url).scheme, url.partition(":")[2]
    if scheme == "file":
        folder = Path(unquote(path.removeprefix("//"))).absolute()
        return LocalStorage(LocalStore(folder, mkdir=True), folder)
    allow_http = os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")
    options = {**CLIENT_TIMEOUTS, "allow_http": allow_http}
    with translate_errors():
        return ObjectStorage(from_url(url, client_options=options, retry_config=RETRY_CONFIG))


@contextmanager
def translate_errors() -> Iterator[None]:
    """Raise `Unavailable`, so that clients may retry, for every error of the storage except `FileNotFoundError`."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (BaseError, OSError, ValueError) as error:
        # Only the first line is for operators; the next ones are debugging information of `obstore`.
        cause = StorageUnavailable(str(error).partition("\n")[0].strip())
        cause.__cause__ = error
        raise Unavailable from cause


async def none_if_missing(operation: Awaitable[T]) -> T | None:
    """Await a storage operation; return None if the file does not exist."""
    try:
        with translate_errors():
            return await operation
    except FileNotFoundError:
        return None


class ObjectStorage:
    """A bucket, or a prefix in one."""

    def __init__(self, store: ObjectStore) -> None:
        self.store = store

    async def put(self, name: str, content: BinaryIO) -> None:
        size = content.seek(0, os.SEEK_END)
        content.seek(0)
        with translate_errors():
            if size <= MULTIPART_CHUNK_BYTES:
                data = await asyncio.to_thread(content.read)
                await obstore.put_async(self.store, name, data, use_multipart=False)
            else:
                options = {"chunk_size": MULTIPART_CHUNK_BYTES, "max_concurrency": 1}
                await obstore.put_async(self.store, name, iter_file(content), **options)

    async def open(self, name: str, start: int, stop: int) -> AsyncIterator[bytes] | None:
        options = {"range": (start, stop)} if stop > start else None
        result = await none_if_missing(obstore.get_async(self.store, name, options=options))
        return result and iter_response(result)

    async def size(self, name: str) -> int | None:
        meta = await none_if_missing(obstore.head_async(self.store, name))
        return meta and meta["size"]

    async def remove(self, names: Iterable[str]) -> None:
        for name in names:
            await none_if_missing(obstore.delete_async(self.store, name))

    async def list_files(self) -> AsyncIterator[StoredFile]:
        with translate_errors():
            async for batch in obstore.list(self.store, chunk_size=LIST_BATCH_SIZE):
                for meta in batch:
                    yield StoredFile(meta["path"], meta["last_modified"])

    async def delete_incomplete(self, before: datetime) -> None:
        """Do nothing: a lifecycle rule of the bucket removes incomplete multipart uploads."""


class LocalStorage(ObjectStorage):
    """A folder on the local file system."""

    def __init__(self, store: LocalStore, folder: Path) -> None:
        super().__init__(store)
        self.folder = folder

    async def put(self, name: str, content: BinaryIO) -> None:
        await super().put(name, content)
        with translate_errors():
            await asyncio.to_thread(fsync, self.folder / name)

    async def delete_incomplete(self, before: datetime) -> None:
        await asyncio.to_thread(remove_temporary_files, self.folder, before.timestamp())


def remove_temporary_files(folder: Path, before: float) -> None:
    """Remove the temporary files that `obstore` writes first: their names end with `#` and a number."""
    for path in folder.rglob("*#*"):
        with suppress(OSError):
            if path.stat().st_mtime < before:
                path.unlink()


def fsync(path: Path) -> None:
    """Write a file and its directory entry to disk, so that they survive a power failure as the database row does."""
    for target in (path, path.parent):
        descriptor = os.open(target, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


async def iter_response(result: Any) -> AsyncIterator[bytes]:
    with translate_errors():
        async for chunk in result.stream(min_chunk_size=CHUNK_BYTES):
            yield bytes(chunk)


async def iter_file(content: BinaryIO) -> AsyncIterator[bytes]:
    while chunk := await asyncio.to_thread(content.read, CHUNK_BYTES):
        yield chunk
