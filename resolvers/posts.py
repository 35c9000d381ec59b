"""What can be done with posts. Each operation owns its transaction and writes its events there.

What can be asked about them is in `resolvers/listings.py`, whose names this module offers too.
"""

from collections.abc import Iterable
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field
from sqlalchemy import delete as delete_rows
from sqlalchemy import select
from sqlalchemy import update as update_rows
from sqlalchemy.ext.asyncio import AsyncSession

from models import Like, Post, PostStatus, Viewer, utcnow
from models.database.upserts import insert_ignore
from models.errors import Forbidden, NotFound, PreconditionFailed
from models.posts import IS_PUBLIC
from resolvers.context import RequestContext, requires_login
from resolvers.events import EventType, record_event
from resolvers.inputs import Content, Excerpt, Input, Reference, TagName, Title
from resolvers.post_queries import PostFilter, PostOrder, by_author, by_category, by_tag, has_liked, post, posts
from resolvers.slugs import insert_with_slug
from resolvers.taxonomy import check_category, set_tags
from resolvers.uploads import UploadIds, attach

__all__ = [
    "CreatePost",
    "PostFilter",
    "PostOrder",
    "UpdatePost",
    "archive",
    "by_author",
    "by_category",
    "by_tag",
    "create",
    "delete",
    "has_liked",
    "like",
    "post",
    "posts",
    "publish",
    "replace",
    "restore",
    "unlike",
    "update",
]

TagNames = Annotated[list[TagName], Field(max_length=20)]


class CreatePost(Input):
    """A post as its author first writes it."""

    title: Title
    content: Content
    excerpt: Excerpt | None = None
    category_id: Reference | None = None
    tags: TagNames | None = None
    status: PostStatus | None = PostStatus.DRAFT
    upload_ids: UploadIds | None = None


class UpdatePost(Input):
    """What to change of a post; what is left out stays as it is, and null clears what may be empty."""

    title: Title = Field(default=None)
    content: Content = Field(default=None)
    excerpt: Excerpt | None = None
    category_id: Reference | None = None
    tags: TagNames | None = None
    status: PostStatus = Field(default=None)
    upload_ids: UploadIds | None = None


@requires_login
async def create(ctx: RequestContext, input: CreatePost) -> UUID:
    """Write a post; a draft, unless its status says otherwise."""
    viewer = ctx.require_viewer()
    async with ctx.db.writing() as session:
        await check_category(session, input.category_id)
        written = input.model_dump(include={"title", "content", "excerpt", "category_id"})
        post = Post(**written, author_id=viewer.id)
        facts = [EventType.POST_CREATED, *set_status(post, input.status or PostStatus.DRAFT)]
        await insert_with_slug(session, post)
        if input.tags:
            await set_tags(session, post, input.tags)
        if input.upload_ids:
            await attach(session, viewer, post, input.upload_ids)
        record_events(session, facts, viewer, post)
    return post.id


@requires_login
async def update(ctx: RequestContext, id: UUID, input: UpdatePost, version: int | None = None) -> UUID:
    """Change some of a post; given the version that was read, only if nobody has changed it since."""
    return await save(ctx, id, {name: getattr(input, name) for name in input.model_fields_set}, version)


@requires_login
async def replace(ctx: RequestContext, id: UUID, input: CreatePost, version: int | None = None) -> UUID:
    """Write a post anew: what is left out is reset."""
    written = {name: getattr(input, name) for name in CreatePost.model_fields}
    return await save(ctx, id, {**written, "status": input.status or PostStatus.DRAFT}, version)


@requires_login
async def publish(ctx: RequestContext, id: UUID) -> UUID:
    """Show a post to everyone."""
    return await save(ctx, id, {"status": PostStatus.PUBLISHED}, to="publish")


@requires_login
async def archive(ctx: RequestContext, id: UUID) -> UUID:
    """Take a post from public sight; its author still sees it."""
    return await save(ctx, id, {"status": PostStatus.ARCHIVED}, to="archive")


@requires_login
async def delete(ctx: RequestContext, id: UUID, version: int | None = None) -> UUID:
    """Put a post away, where only an admin can bring it back from."""
    viewer = ctx.require_viewer()
    async with ctx.db.writing() as session:
        post = await own_post(session, viewer, id, to="delete")
        check_version(post, version)
        if post.deleted_at is None:
            was_public, post.deleted_at = post.is_public, utcnow()
            bump_version(session, [EventType.POST_DELETED], viewer, post, hides=was_public)
    return id


@requires_login
async def restore(ctx: RequestContext, id: UUID) -> UUID:
    """Bring back a deleted post. Admins only."""
    viewer = ctx.require_viewer()
    async with ctx.db.writing() as session:
        post = await visible_post(session, viewer, id)
        if not viewer.is_admin:
            raise Forbidden("Only an admin may restore a post")
        if post.deleted_at is not None:
            post.deleted_at = None
            bump_version(session, [EventType.POST_RESTORED], viewer, post)
    return id


@requires_login
async def like(ctx: RequestContext, id: UUID) -> UUID:
    """Like a post; liking twice is one like."""
    viewer = ctx.require_viewer()
    async with ctx.db.writing() as session:
        is_public = await lock_visible(session, viewer, id)
        if await insert_ignore(session, Like(post_id=id, user_id=viewer.id)):
            await count_likes(session, id, +1)
            record_event(session, EventType.POST_LIKED, viewer, id, is_public=is_public)
    return id


@requires_login
async def unlike(ctx: RequestContext, id: UUID) -> UUID:
    """Take back a like."""
    viewer = ctx.require_viewer()
    async with ctx.db.writing() as session:
        is_public = await lock_visible(session, viewer, id)
        unliked = delete_rows(Like).where(Like.post_id == id, Like.user_id == viewer.id)
        if (await session.execute(unliked)).rowcount:
            await count_likes(session, id, -1)
            record_event(session, EventType.POST_UNLIKED, viewer, id, is_public=is_public)
    return id


async def visible_post(session: AsyncSession, viewer: Viewer, id: UUID) -> Post:
    """A post that the viewer may see, held until the transaction ends."""
    wanted = select(Post).where(Post.id == id, Post.visible_to(viewer)).with_for_update()
    post = await session.scalar(wanted)
    if post is None:
        raise NotFound.for_entity("Post")
    return post


async def lock_visible(session: AsyncSession, viewer: Viewer, id: UUID) -> bool:
    """Hold a post that the viewer may see until the transaction ends; says whether everyone sees it."""
    wanted = select(IS_PUBLIC).where(Post.id == id, Post.visible_to(viewer)).with_for_update()
    is_public = await session.scalar(wanted)
    if is_public is None:
        raise NotFound.for_entity("Post")
    return is_public


async def own_post(session: AsyncSession, viewer: Viewer, id: UUID, to: str) -> Post:
    """A post that the viewer may change."""
    post = await visible_post(session, viewer, id)
    if post.author_id != viewer.id and not viewer.is_admin:
        raise Forbidden(f"Only the author may {to} a post")
    return post


async def save(
    ctx: RequestContext, id: UUID, values: dict[str, Any], version: int | None = None, to: str = "edit"
) -> UUID:
    """Give a post these values; what is the same already is no change, has no event and no new version."""
    viewer = ctx.require_viewer()
    async with ctx.db.writing() as session:
        post = await own_post(session, viewer, id, to)
        check_version(post, version)
        was_public = post.is_public
        facts = [
            *await apply_changes(session, viewer, post, values),
            *set_status(post, values.get("status", post.status)),
        ]
        if facts:
            bump_version(session, facts, viewer, post, hides=was_public and not post.is_public)
    return id


async def apply_changes(session: AsyncSession, viewer: Viewer, post: Post, values: dict[str, Any]) -> list[EventType]:
    """Change what is written, but for the status."""
    written = {name: value for name, value in values.items() if name not in ("tags", "status", "upload_ids")}
    changed = {name: value for name, value in written.items() if getattr(post, name) != value}
    await check_category(session, changed.get("category_id"))
    for name, value in changed.items():
        setattr(post, name, value)
    retagged = "tags" in values and await set_tags(session, post, values["tags"] or [])
    attached = "upload_ids" in values and await attach(session, viewer, post, values["upload_ids"] or [])
    return [EventType.POST_UPDATED] if changed or retagged or attached else []


def set_status(post: Post, status: PostStatus) -> list[EventType]:
    """Move a post to a status."""
    if post.status is status:
        return []
    post.status = status
    if status is PostStatus.PUBLISHED:
        post.published_at = post.published_at or utcnow()
    moved = {PostStatus.PUBLISHED: EventType.POST_PUBLISHED, PostStatus.ARCHIVED: EventType.POST_ARCHIVED}
    return [moved.get(status, EventType.POST_UPDATED)]


def check_version(post: Post, version: int | None) -> None:
    if version is not None and post.version != version:
        raise PreconditionFailed(f"The post has changed since version {version}")


def bump_version(
    session: AsyncSession, facts: list[EventType], viewer: Viewer, post: Post, *, hides: bool = False
) -> None:
    """The post is another version now, for these reasons."""
    post.version += 1
    post.updated_at = utcnow()
    record_events(session, facts, viewer, post, hides=hides)


def record_events(
    session: AsyncSession, facts: Iterable[EventType], viewer: Viewer, post: Post, *, hides: bool = False
) -> None:
    for fact in dict.fromkeys(facts):
        record_event(session, fact, viewer, post.id, is_public=post.is_public, hides=hides)


async def count_likes(session: AsyncSession, id: UUID, by: int) -> None:
    await session.execute(update_rows(Post).where(Post.id == id).values(like_count=Post.like_count + by))
