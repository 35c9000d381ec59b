"""Storage over `obstore`: a folder of this machine's, S3, Google's or Azure's, by `UPLOAD_URL`."""

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

PART = 5 * 2**20
"""The least that S3 takes as a part of something larger."""
PIECE = 2**18
"""What is held of a file at once, on its way to a client or from one."""
LISTED = 500

PATIENCE: dict[str, Any] = {"connect_timeout": "2s", "read_timeout": "15s", "timeout": "2h"}
"""The last bounds how long a client may take to fetch a file."""
TRIES: dict[str, Any] = {"max_retries": 2, "retry_timeout": timedelta(seconds=10)}

Answer = TypeVar("Answer")


def create_storage(url: str) -> Storage:
    """The storage that a setting names. Nothing is asked of it yet."""
    scheme, path = urlsplit(url).scheme, url.partition(":")[2]
    if scheme == "file":
        folder = Path(unquote(path.removeprefix("//"))).absolute()
        return LocalStorage(LocalStore(folder, mkdir=True), folder)
    allow_http = os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")
    with translate_errors():
        return ObjectStorage(from_url(url, client_options={**PATIENCE, "allow_http": allow_http}, retry_config=TRIES))


@contextmanager
def translate_errors() -> Iterator[None]:
    """What goes wrong in storage is a refusal that clients may retry, but that a file is not there."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (BaseError, OSError, ValueError) as error:
        raise Unavailable from to_storage_error(error)


def to_storage_error(error: Exception) -> StorageUnavailable:
    """What went wrong in a line; `obstore` goes on below it for who develops it."""
    cause = StorageUnavailable(str(error).partition("\n")[0].strip())
    cause.__cause__ = error
    return cause


async def none_if_missing(asked: Awaitable[Answer]) -> Answer | None:
    try:
        with translate_errors():
            return await asked
    except FileNotFoundError:
        return None


class ObjectStorage:
    """A bucket, or a part of one."""

    def __init__(self, store: ObjectStore) -> None:
        self.store = store

    async def put(self, name: str, content: BinaryIO) -> None:
        size = content.seek(0, os.SEEK_END)
        content.seek(0)
        with translate_errors():
            if size <= PART:
                whole = await asyncio.to_thread(content.read)
                await obstore.put_async(self.store, name, whole, use_multipart=False)
            else:
                await obstore.put_async(self.store, name, iter_file(content), chunk_size=PART, max_concurrency=1)

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
            async for batch in obstore.list(self.store, chunk_size=LISTED):
                for meta in batch:
                    yield StoredFile(meta["path"], meta["last_modified"])

    async def delete_incomplete(self, before: datetime) -> None:
        """Parts of what was never finished are for the bucket's own rules to remove."""


class LocalStorage(ObjectStorage):
    """A folder of this machine's."""

    def __init__(self, store: LocalStore, folder: Path) -> None:
        super().__init__(store)
        self.folder = folder

    async def put(self, name: str, content: BinaryIO) -> None:
        await super().put(name, content)
        with translate_errors():
            await asyncio.to_thread(fsync, self.folder / name)

    async def delete_incomplete(self, before: datetime) -> None:
        await asyncio.to_thread(self.remove_unfinished, before.timestamp())

    def remove_unfinished(self, before: float) -> None:
        """`obstore` writes under a name with a number after `#`, which it does not list."""
        for path in self.folder.rglob("*#*"):
            with suppress(OSError):
                if path.stat().st_mtime < before:
                    path.unlink()


def fsync(path: Path) -> None:
    """Have a file, and its name, outlast a power cut: its row will."""
    for place in (path, path.parent):
        descriptor = os.open(place, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


async def iter_response(result: Any) -> AsyncIterator[bytes]:
    with translate_errors():
        async for piece in result.stream(min_chunk_size=PIECE):
            yield bytes(piece)


async def iter_file(content: BinaryIO) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(content.read, PIECE):
        yield piece
