"""Create thumbnails of images on demand, and keep them in storage beside the original."""

import asyncio
from tempfile import TemporaryFile
from typing import BinaryIO

from models import Upload
from models.errors import NotFound
from resolvers.images import decoding
from resolvers.images.file_types import BY_MEDIA_TYPE
from resolvers.ports import Storage

WIDTHS = (160, 320, 640, 960, 1280, 1920)
"""The widths in pixels that clients may request."""


def thumbnail_name(name: str, width: int) -> str:
    """Return the name in storage of an upload's thumbnail."""
    return f"{width}/{name}"


def all_names(name: str) -> list[str]:
    """Return the names in storage of an upload and of its possible thumbnails."""
    return [name, *(thumbnail_name(name, width) for width in WIDTHS)]


class Thumbnails:
    """The thumbnails of all uploads. Concurrent requests for a missing one share the task that creates it."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.tasks: dict[str, asyncio.Task[int]] = {}

    async def get_or_create(self, upload: Upload, width: int) -> tuple[str, int]:
        """Return the name in storage and the size in bytes of a thumbnail. Raise `NotFound` if the upload is gone."""
        name = thumbnail_name(upload.name, width)
        task = self.tasks.get(name)
        if task is None:
            task = self.tasks[name] = asyncio.create_task(self.find_or_create(upload, name, width), name=name)
            task.add_done_callback(lambda done: self.tasks.pop(name))
        return name, await asyncio.shield(task)

    async def find_or_create(self, upload: Upload, name: str, width: int) -> int:
        size = await self.storage.size(name)
        if size is not None:
            return size
        with TemporaryFile() as original, TemporaryFile() as thumbnail:
            await self.download(upload, original)
            file_type = BY_MEDIA_TYPE[upload.content_type]
            await decoding.run_in_pool(decoding.resize, original, file_type, width, thumbnail)
            await self.storage.put(name, thumbnail)
            return thumbnail.seek(0, 2)

    async def download(self, upload: Upload, target: BinaryIO) -> None:
        chunks = await self.storage.open(upload.name, 0, upload.size)
        if chunks is None:
            raise NotFound.for_entity("Upload")
        async for chunk in chunks:
            await asyncio.to_thread(target.write, chunk)
