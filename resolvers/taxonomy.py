"""Queries and operations on categories and tags."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Select, delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from models import Category, Post, PostTag, Tag, Viewer
from models.database.upserts import insert_ignore
from models.errors import ValidationError
from resolvers.slugs import slugify


def categories(viewer: Viewer | None) -> Select[Category]:
    """All categories, sorted by name."""
    return select(Category).order_by(Category.name, Category.id)


def tags(viewer: Viewer | None) -> Select[Tag]:
    """Tags, sorted by name."""
    return select(Tag).order_by(Tag.name, Tag.id)


async def check_category(session: AsyncSession, id: UUID | None) -> None:
    """Raise `ValidationError` if there is no such category."""
    if id is not None and await session.get(Category, id) is None:
        raise ValidationError.for_fields(categoryId="There is no such category")


async def set_tags(session: AsyncSession, post: Post, names: Sequence[str]) -> bool:
    """Replace the tags of a post, creating missing tags. Return whether that changed anything."""
    new = await get_or_create_tags(session, names)
    old = set(await session.scalars(select(PostTag.tag_id).where(PostTag.post_id == post.id)))
    if removed := old - new:
        await session.execute(delete(PostTag).where(PostTag.post_id == post.id, PostTag.tag_id.in_(removed)))
    session.add_all(PostTag(post_id=post.id, tag_id=tag_id) for tag_id in new - old)
    return new != old


async def get_or_create_tags(session: AsyncSession, names: Sequence[str]) -> set[UUID]:
    """Return the ids of the tags with these names. Rows are inserted in order of slug, to avoid deadlocks."""
    by_slug = {slugify(name): name for name in reversed(names)}
    if "" in by_slug:
        raise ValidationError.for_fields(tags="Each tag must contain a letter or a digit")
    if not by_slug:
        return set()
    existing = set(await session.scalars(select(Tag.slug).where(Tag.slug.in_(by_slug))))
    if new := [Tag(name=by_slug[slug], slug=slug) for slug in sorted(by_slug) if slug not in existing]:
        await insert_ignore(session, *new)
    return set(await session.scalars(select(Tag.id).where(Tag.slug.in_(by_slug))))
