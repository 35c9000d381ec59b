"""What can be asked about uploads, and what can be done with them."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, BinaryIO
from uuid import UUID, uuid4

from pydantic import Field
from sqlalchemy import ColumnElement, Select, delete, desc, exists, literal, or_, select
from sqlalchemy import update as update_rows
from sqlalchemy.exc import IntegrityError

from models import Database, Post, PostUpload, Upload, Viewer, utcnow
from models.database.transaction import Transaction
from models.errors import NotFound, Unauthorized, ValidationError
from resolvers.context import RequestContext
from resolvers.images import decoding, metadata
from resolvers.images.file_types import HEAD, KINDS, Kind, check_claims, check_single, sniffed
from resolvers.inputs import Reference
from resolvers.ports import Storage

FOLDER = "/uploads/"
NAME = re.compile(rf"[0-9a-f-]{{36}}(?:{'|'.join(re.escape(kind.suffix) for kind in KINDS.values())})")
"""What we call them."""

UploadIds = Annotated[list[Reference], Field(max_length=20)]


@dataclass(frozen=True, slots=True)
class Received:
    """A file as it came, in a place of its own until it is kept; what is said of it is its sender's word."""

    file: BinaryIO
    size: int
    filename: str
    claimed: str


@dataclass(frozen=True, slots=True)
class Examined:
    """What a file's bytes say of it."""

    kind: Kind
    width: int | None
    sha256: str


def uploads(viewer: Viewer | None) -> Select[Upload]:
    """The viewer's own uploads, latest first."""
    if viewer is None:
        raise Unauthorized
    return select(Upload).where(Upload.owner_id == viewer.id).order_by(desc(Upload.created_at), desc(Upload.id))


def attached_to(viewer: Viewer | None, post: type[Post]) -> Select[Upload]:
    """What is attached to a post, in the order that its author gave."""
    rows = select(Upload).join(PostUpload, PostUpload.upload_id == Upload.id).where(PostUpload.post_id == post.id)
    return rows.order_by(PostUpload.position, Upload.id)


def url(viewer: Viewer | None, upload: type[Upload]) -> ColumnElement[str]:
    """Where it is served, to anybody who knows it."""
    return literal(FOLDER).concat(upload.name)


async def named(db: Database, name: str) -> Upload:
    """The upload that is served under a name. Whoever knows the name, which nobody can guess, may have it."""
    if NAME.fullmatch(name):
        async with db.reading() as session:
            if upload := await session.scalar(select(Upload).where(Upload.name == name)):
                return upload
    raise NotFound.named("Upload")


async def keep(ctx: RequestContext, storage: Storage, received: Received, allowed: Sequence[Kind]) -> Upload:
    """Keep a file of the viewer's, if it is whole and what it says it is.

    The row comes after the file, so that there is none without one. A file whose row does not come is removed here, or
    by the sweep where nobody can tell any more whether it came.
    """
    viewer = ctx.signed_in()
    found = await decoding.in_turn(examined, received, allowed)
    upload = Upload(
        name=f"{uuid4()}{found.kind.suffix}",
        filename=received.filename,
        content_type=found.kind.media_type,
        size=received.size,
        sha256=found.sha256,
        width=found.width,
        owner_id=viewer.id,
    )
    await storage.put(upload.name, received.file)
    try:
        async with ctx.db.writing() as session:
            session.add(upload)
    except IntegrityError as error:  # whoever sent it is gone by now
        await storage.remove([upload.name])
        raise Unauthorized from error
    return upload


def examined(received: Received, allowed: Sequence[Kind]) -> Examined:
    """What a file is, or why it is refused; a picture loses the place where it was taken."""
    file, size = received.file, received.size
    if not size:
        raise ValidationError.of(file="The file is empty")
    file.seek(0)
    kind = sniffed(file.read(HEAD), allowed)
    check_claims(kind, received.filename, received.claimed, allowed)
    check_single(kind, file, size, allowed)
    width = None
    if kind.format:
        width = decoding.check_whole(file, kind)
        metadata.remove(file, kind)
    file.seek(0)
    return Examined(kind, width, hashlib.file_digest(file, "sha256").hexdigest())


async def attach(session: Transaction, viewer: Viewer, post: Post, ids: Sequence[UUID]) -> bool:
    """Have these uploads, in this order, and no others be the post's; says whether that changed anything."""
    of_post = select(PostUpload.upload_id).where(PostUpload.post_id == post.id).order_by(PostUpload.position)
    present, wanted = list(await session.scalars(of_post)), list(dict.fromkeys(ids))
    if wanted == present:
        return False
    await check_usable(session, viewer, wanted, present)
    await session.execute(delete(PostUpload).where(PostUpload.post_id == post.id))
    session.add_all(PostUpload(post_id=post.id, upload_id=id, position=at) for at, id in enumerate(wanted))
    if gone := set(present) - set(wanted):
        await session.execute(update_rows(Upload).where(Upload.id.in_(gone)).values(loose_since=utcnow()))
    return True


async def check_usable(session: Transaction, viewer: Viewer, ids: Sequence[UUID], present: Sequence[UUID]) -> None:
    """Refuses uploads that are not the viewer's, unless they are there already; holds them against the sweep."""
    usable = select(Upload.id).where(Upload.id.in_(ids))
    if not viewer.is_admin:
        usable = usable.where(or_(Upload.owner_id == viewer.id, Upload.id.in_(present)))
    found = set(await session.scalars(usable.with_for_update(read=True, key_share=True)))
    if set(ids) - found:
        raise ValidationError.of(uploadIds="There is no such upload of yours")


def is_attached() -> ColumnElement[bool]:
    return exists().where(PostUpload.upload_id == Upload.id)
