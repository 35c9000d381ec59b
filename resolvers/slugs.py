"""Slugs: readable names for URLs, created once from a post's title."""

from slugify import slugify as slugify_text
from sqlalchemy import Select, String, bindparam, cast, func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from models import Post
from models.database.advisory_lock import lock_names
from models.database.upserts import insert, insert_ignore

MAX_SLUG_LENGTH = 80
REPLACEMENTS = [["+", " plus "], ["#", " sharp "], ["&", " and "]]
"""Symbols that distinguish names, such as C++ and C#."""
MAX_NUMBER = 1000
"""From this number on, a slug ends with part of the post's id instead."""


def slugify(text: str) -> str:
    """Return the words of a text in ASCII, joined by hyphens; empty if the text has no letters or digits."""
    return slugify_text(text, max_length=MAX_SLUG_LENGTH, word_boundary=True, replacements=REPLACEMENTS)


async def insert_with_slug(session: AsyncSession, post: Post) -> None:
    """Insert a post with the slug of its title, followed by the smallest number that makes it unique.

    The slug without a number is usually free, so it is tried first. If it is taken, a lock orders concurrent inserts:
    otherwise they would all choose the same number.
    """
    plain = post.slug = slugify(post.title) or "post"
    if await insert_ignore(session, post, conflict_on="slug"):
        return
    await lock_names(session, [f"slug {plain}"])
    while (number := await session.scalar(FREE_NUMBER, {"slug": plain})) < MAX_NUMBER:
        post.slug = f"{plain}-{number}"
        if await insert_ignore(session, post, conflict_on="slug"):
            return
    post.slug = f"{plain}-{post.id.hex[-12:]}"
    await insert(session, post)


def next_free_number() -> Select:
    """Select the first number from 2 that no post with this slug has.

    A recursive query is 100 times faster than an IN with 1,000 slugs, for which SQLAlchemy creates a parameter each.
    """
    number = select(literal(2).label("number")).cte("numbers", recursive=True)
    slug = bindparam("slug", type_=String) + "-" + cast(number.c.number, String)
    is_taken = select(Post.id).where(Post.slug == slug).exists()
    number = number.union_all(select(number.c.number + 1).where(number.c.number < MAX_NUMBER, is_taken))
    return select(func.max(number.c.number))


FREE_NUMBER = next_free_number()
