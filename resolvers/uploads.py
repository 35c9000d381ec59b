"""Queries and operations on uploads: store a file, attach uploads to a post."""

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, BinaryIO
from uuid import UUID, uuid4

from pydantic import Field
from sqlalchemy import ColumnElement, Select, delete, desc, exists, literal, or_, select
from sqlalchemy import update as update_rows
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from models import Database, Post, PostUpload, Upload, Viewer, utcnow
from models.errors import NotFound, Unauthorized, ValidationError
from resolvers.context import RequestContext
from resolvers.images.decoding import process_upload, run_in_pool
from resolvers.images.file_types import (
    FILE_TYPES,
    HEAD_BYTES,
    FileType,
    check_declared_type,
    detect,
    reject_polyglots,
)
from resolvers.inputs import Reference
from resolvers.ports import Storage

URL_PREFIX = "/uploads/"
STORED_NAME = re.compile(rf"[0-9a-f-]{{36}}(?:{'|'.join(re.escape(each.suffix) for each in FILE_TYPES.values())})")
"""The names that `store` gives to files."""

UploadIds = Annotated[list[Reference], Field(max_length=20)]


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A file from a client in temporary storage. Its filename and declared type are not trusted."""

    file: BinaryIO
    size: int
    filename: str
    declared_type: str


@dataclass(frozen=True, slots=True)
class FileInfo:
    """Information from the content of a file; for an image, after its metadata are stripped."""

    file_type: FileType
    width: int | None
    """In pixels, if thumbnails can be made of it."""
    size: int
    """In bytes."""
    sha256: str


def uploads(viewer: Viewer | None) -> Select[Upload]:
    """The viewer's own uploads, newest first."""
    if viewer is None:
        raise Unauthorized
    return select(Upload).where(Upload.owner_id == viewer.id).order_by(desc(Upload.created_at), desc(Upload.id))


def attached_to(viewer: Viewer | None, post: type[Post]) -> Select[Upload]:
    """The post's uploads, in the author's order."""
    rows = select(Upload).join(PostUpload, PostUpload.upload_id == Upload.id).where(PostUpload.post_id == post.id)
    return rows.order_by(PostUpload.position, Upload.id)


def url(viewer: Viewer | None, upload: type[Upload]) -> ColumnElement[str]:
    """The path of the file. Everyone who knows it can download the file."""
    return literal(URL_PREFIX).concat(upload.name)


async def by_name(db: Database, name: str) -> Upload:
    """Return the upload that is served under a name. Raise `NotFound` if there is none.

    Anyone who knows the name may read the file; it contains a random UUID, so it cannot be guessed.
    """
    if STORED_NAME.fullmatch(name):
        async with db.reading() as session:
            if upload := await session.scalar(select(Upload).where(Upload.name == name)):
                return upload
    raise NotFound.for_entity("Upload")


async def store(ctx: RequestContext, storage: Storage, received: ReceivedFile, allowed: Sequence[FileType]) -> Upload:
    """Validate a file, store it and insert its row.

    The file is stored before the row is inserted, so that no row lacks its file. If the insert fails, the file is
    removed here; if its outcome is unknown, the cleanup removes the file later.
    """
    viewer = ctx.require_viewer()
    info = await run_in_pool(inspect, received, allowed)
    upload = Upload(
        name=f"{uuid4()}{info.file_type.suffix}",
        filename=received.filename,
        content_type=info.file_type.media_type,
        size=info.size,
        sha256=info.sha256,
        width=info.width,
        owner_id=viewer.id,
    )
    await storage.put(upload.name, received.file)
    try:
        async with ctx.db.writing() as session:
            session.add(upload)
    except IntegrityError as error:  # the viewer's account was deleted in the meantime
        await storage.remove([upload.name])
        raise Unauthorized from error
    return upload


def inspect(received: ReceivedFile, allowed: Sequence[FileType]) -> FileInfo:
    """Return information about a file, after stripping the metadata if it is an image.

    Raise `UnsupportedMediaType`, `PayloadTooLarge` or `ValidationError` if the file is rejected.
    """
    file = received.file
    if not received.size:
        raise ValidationError.for_fields(file="The file is empty")
    file.seek(0)
    file_type = detect(file.read(HEAD_BYTES), allowed)
    check_declared_type(file_type, received.filename, received.declared_type, allowed)
    reject_polyglots(file_type, file, received.size, allowed)
    width = process_upload(file, file_type) if file_type.pillow_format else None
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return FileInfo(file_type, width, size, hashlib.file_digest(file, "sha256").hexdigest())


async def attach(session: AsyncSession, viewer: Viewer, post: Post, ids: Sequence[UUID]) -> bool:
    """Replace the uploads of a post by these, in this order. Return whether that changed anything."""
    current = select(PostUpload.upload_id).where(PostUpload.post_id == post.id).order_by(PostUpload.position)
    old, new = list(await session.scalars(current)), list(dict.fromkeys(ids))
    if new == old:
        return False
    await check_usable(session, viewer, new, old)
    await session.execute(delete(PostUpload).where(PostUpload.post_id == post.id))
    session.add_all(PostUpload(post_id=post.id, upload_id=id, position=position) for position, id in enumerate(new))
    if removed := set(old) - set(new):
        await session.execute(update_rows(Upload).where(Upload.id.in_(removed)).values(unattached_since=utcnow()))
    return True


async def check_usable(session: AsyncSession, viewer: Viewer, ids: Sequence[UUID], attached: Sequence[UUID]) -> None:
    """Lock uploads against the cleanup. Raise `ValidationError` if one is neither the viewer's nor attached already."""
    usable = select(Upload.id).where(Upload.id.in_(ids))
    if not viewer.is_admin:
        usable = usable.where(or_(Upload.owner_id == viewer.id, Upload.id.in_(attached)))
    found = set(await session.scalars(usable.with_for_update(read=True, key_share=True)))
    if set(ids) - found:
        raise ValidationError.for_fields(uploadIds="You have no upload with this id")


def is_attached() -> ColumnElement[bool]:
    """Return the condition that some post has the upload."""
    return exists().where(PostUpload.upload_id == Upload.id)
