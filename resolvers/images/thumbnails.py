"""Pictures in the widths that pages ask for: each made once, and kept beside its picture."""

import asyncio
from tempfile import TemporaryFile
from typing import BinaryIO

from models import Upload
from models.errors import NotFound
from resolvers.images import decoding
from resolvers.images.file_types import OF_MEDIA_TYPE
from resolvers.ports import Storage

WIDTHS = (160, 320, 640, 960, 1280, 1920)


def name_of(name: str, width: int) -> str:
    """What a picture of that width is called in storage."""
    return f"{width}/{name}"


def names_of(name: str) -> list[str]:
    """Everything that may be kept of one upload."""
    return [name, *(name_of(name, width) for width in WIDTHS)]


class Widths:
    """Those who ask at once for what nobody has made yet share one making."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.making: dict[str, asyncio.Task[int]] = {}

    async def made(self, upload: Upload, width: int) -> tuple[str, int]:
        """The name and the size of the picture with that width, made first if need be."""
        name = name_of(upload.name, width)
        making = self.making.get(name)
        if making is None:
            making = self.making[name] = asyncio.create_task(self.ready(upload, width), name=name)
            making.add_done_callback(lambda made: self.making.pop(name))
        return name, await asyncio.shield(making)

    async def ready(self, upload: Upload, width: int) -> int:
        name = name_of(upload.name, width)
        size = await self.storage.size(name)
        return size if size is not None else await self.make(upload, name, width)

    async def make(self, upload: Upload, name: str, width: int) -> int:
        with TemporaryFile() as whole, TemporaryFile() as small:
            await self.fetch(upload, whole)
            await decoding.in_turn(decoding.scaled, whole, OF_MEDIA_TYPE[upload.content_type], width, small)
            await self.storage.put(name, small)
            return small.seek(0, 2)

    async def fetch(self, upload: Upload, into: BinaryIO) -> None:
        pieces = await self.storage.open(upload.name, 0, upload.size)
        if pieces is None:
            raise NotFound.named("Upload")
        async for piece in pieces:
            await asyncio.to_thread(into.write, piece)
