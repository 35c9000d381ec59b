"""Operations on posts. Each runs in one transaction, which also records its events.

The queries are in `resolvers/post_queries.py`; this module re-exports them.
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
    """A new post."""

    title: Title
    content: Content
    excerpt: Excerpt | None = None
    category_id: Reference | None = None
    tags: TagNames | None = None
    status: PostStatus | None = PostStatus.DRAFT
    upload_ids: UploadIds | None = None


class UpdatePost(Input):
    """Changes to a post. Omitted fields keep their values; null clears optional fields."""

    title: Title = Field(default=None)
    content: Content = Field(default=None)
    excerpt: Excerpt | None = None
    category_id: Reference | None = None
    tags: TagNames | None = None
    status: PostStatus = Field(default=None)
    upload_ids: UploadIds | None = None


@requires_login
async def create(ctx: RequestContext, input: CreatePost) -> UUID:
    """Create a post, by default as a draft."""
    viewer = ctx.require_viewer()
    async with ctx.db.writing() as session:
        await check_category(session, input.category_id)
        values = input.model_dump(include={"title", "content", "excerpt", "category_id"})
        post = Post(**values, author_id=viewer.id)
        event_types = [EventType.POST_CREATED, *set_status(post, input.status or PostStatus.DRAFT)]
        await insert_with_slug(session, post)
        if input.tags:
            await set_tags(session, post, input.tags)
        if input.upload_ids:
            await attach(session, viewer, post, input.upload_ids)
        record_events(session, event_types, viewer, post)
    return post.id


@requires_login
async def update(ctx: RequestContext, id: UUID, input: UpdatePost, version: int | None = None) -> UUID:
    """Change fields of a post. With `version`, only if the post still has that version."""
    return await save(ctx, id, {name: getattr(input, name) for name in input.model_fields_set}, version)


@requires_login
async def replace(ctx: RequestContext, id: UUID, input: CreatePost, version: int | None = None) -> UUID:
    """Replace a post. Omitted fields are reset to their defaults."""
    values = {name: getattr(input, name) for name in CreatePost.model_fields}
    return await save(ctx, id, {**values, "status": input.status or PostStatus.DRAFT}, version)


@requires_login
async def publish(ctx: RequestContext, id: UUID) -> UUID:
    """Publish a post, which makes it visible to everyone."""
    return await save(ctx, id, {"status": PostStatus.PUBLISHED}, action="publish")


@requires_login
async def archive(ctx: RequestContext, id: UUID) -> UUID:
    """Archive a post, which hides it from everyone but its author and admins."""
    return await save(ctx, id, {"status": PostStatus.ARCHIVED}, action="archive")


@requires_login
async def delete(ctx: RequestContext, id: UUID, version: int | None = None) -> UUID:
    """Delete a post. An admin can restore it."""
    viewer = ctx.require_viewer()
    async with ctx.db.writing() as session:
        post = await own_post(session, viewer, id, action="delete")
        check_version(post, version)
        if post.deleted_at is None:
            was_public, post.deleted_at = post.is_public, utcnow()
            bump_version(session, [EventType.POST_DELETED], viewer, post, hides=was_public)
    return id


@requires_login
async def restore(ctx: RequestContext, id: UUID) -> UUID:
    """Restore a deleted post. Admins only."""
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
    """Like a post. Liking it again has no effect."""
    viewer = ctx.require_viewer()
    async with ctx.db.writing() as session:
        is_public = await lock_visible(session, viewer, id)
        if await insert_ignore(session, Like(post_id=id, user_id=viewer.id)):
            await adjust_like_count(session, id, +1)
            record_event(session, EventType.POST_LIKED, viewer, id, is_public=is_public)
    return id


@requires_login
async def unlike(ctx: RequestContext, id: UUID) -> UUID:
    """Remove the viewer's like from a post."""
    viewer = ctx.require_viewer()
    async with ctx.db.writing() as session:
        is_public = await lock_visible(session, viewer, id)
        deletion = delete_rows(Like).where(Like.post_id == id, Like.user_id == viewer.id)
        if (await session.execute(deletion)).rowcount:
            await adjust_like_count(session, id, -1)
            record_event(session, EventType.POST_UNLIKED, viewer, id, is_public=is_public)
    return id


async def visible_post(session: AsyncSession, viewer: Viewer, id: UUID) -> Post:
    """Lock and return a post that the viewer may see, or raise `NotFound`."""
    post = await session.scalar(select(Post).where(Post.id == id, Post.visible_to(viewer)).with_for_update())
    if post is None:
        raise NotFound.for_entity("Post")
    return post


async def lock_visible(session: AsyncSession, viewer: Viewer, id: UUID) -> bool:
    """Lock a post that the viewer may see and return whether it is public, or raise `NotFound`."""
    is_public = await session.scalar(select(IS_PUBLIC).where(Post.id == id, Post.visible_to(viewer)).with_for_update())
    if is_public is None:
        raise NotFound.for_entity("Post")
    return is_public


async def own_post(session: AsyncSession, viewer: Viewer, id: UUID, action: str) -> Post:
    """Lock and return a post that the viewer may change, or raise `NotFound` or `Forbidden`."""
    post = await visible_post(session, viewer, id)
    if post.author_id != viewer.id and not viewer.is_admin:
        raise Forbidden(f"Only the author may {action} a post")
    return post


async def save(
    ctx: RequestContext, id: UUID, values: dict[str, Any], version: int | None = None, action: str = "edit"
) -> UUID:
    """Set values of a post. Record events and increment the version only if that changed something."""
    viewer = ctx.require_viewer()
    async with ctx.db.writing() as session:
        post = await own_post(session, viewer, id, action)
        check_version(post, version)
        was_public = post.is_public
        event_types = [
            *await apply_changes(session, viewer, post, values),
            *set_status(post, values.get("status", post.status)),
        ]
        if event_types:
            bump_version(session, event_types, viewer, post, hides=was_public and not post.is_public)
    return id


async def apply_changes(session: AsyncSession, viewer: Viewer, post: Post, values: dict[str, Any]) -> list[EventType]:
    """Set the values of a post, except its status. Return the events to record."""
    columns = {name: value for name, value in values.items() if name not in ("tags", "status", "upload_ids")}
    changed = {name: value for name, value in columns.items() if getattr(post, name) != value}
    await check_category(session, changed.get("category_id"))
    for name, value in changed.items():
        setattr(post, name, value)
    retagged = "tags" in values and await set_tags(session, post, values["tags"] or [])
    attached = "upload_ids" in values and await attach(session, viewer, post, values["upload_ids"] or [])
    return [EventType.POST_UPDATED] if changed or retagged or attached else []


def set_status(post: Post, status: PostStatus) -> list[EventType]:
    """Set the status of a post. Return the events to record."""
    if post.status is status:
        return []
    post.status = status
    if status is PostStatus.PUBLISHED:
        post.published_at = post.published_at or utcnow()
    event_types = {PostStatus.PUBLISHED: EventType.POST_PUBLISHED, PostStatus.ARCHIVED: EventType.POST_ARCHIVED}
    return [event_types.get(status, EventType.POST_UPDATED)]


def check_version(post: Post, version: int | None) -> None:
    if version is not None and post.version != version:
        raise PreconditionFailed(f"The post has changed since version {version}")


def bump_version(
    session: AsyncSession, event_types: list[EventType], viewer: Viewer, post: Post, *, hides: bool = False
) -> None:
    """Increment the version of a post and record events."""
    post.version += 1
    post.updated_at = utcnow()
    record_events(session, event_types, viewer, post, hides=hides)


def record_events(
    session: AsyncSession, event_types: Iterable[EventType], viewer: Viewer, post: Post, *, hides: bool = False
) -> None:
    for type in dict.fromkeys(event_types):
        record_event(session, type, viewer, post.id, is_public=post.is_public, hides=hides)


async def adjust_like_count(session: AsyncSession, id: UUID, delta: int) -> None:
    await session.execute(update_rows(Post).where(Post.id == id).values(like_count=Post.like_count + delta))
