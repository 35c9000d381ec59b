"""Slugs: readable words for an address, made once."""

from slugify import slugify as slugify_text
from sqlalchemy import Select, String, bindparam, cast, func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from models import Post
from models.database.advisory_lock import lock_names
from models.database.upserts import insert, insert_ignore

LONGEST = 80
REPLACEMENTS = [["+", " plus "], ["#", " sharp "], ["&", " and "]]
"""Signs that tell names apart: C++ is not C#."""
MOST = 1000
"""Below this the posts of one title are numbered."""


def slugify(text: str) -> str:
    """Words of ASCII letters and digits, or nothing where the text has none in any script."""
    return slugify_text(text, max_length=LONGEST, word_boundary=True, replacements=REPLACEMENTS)


async def insert_with_slug(session: AsyncSession, post: Post) -> None:
    """Write a new post under its title's slug, or the same with the smallest number that makes it unique.

    Most titles are nobody's yet, so the first is tried without looking. Those who write posts of one title at once then
    go one by one: each would take the number that the one before is about to have.
    """
    plain = post.slug = plain_slug(post)
    if await insert_ignore(session, post, conflict_on="slug"):
        return
    await lock_names(session, [f"slug {plain}"])
    while (number := await session.scalar(FIRST_FREE, {"slug": plain})) < MOST:
        post.slug = f"{plain}-{number}"
        if await insert_ignore(session, post, conflict_on="slug"):
            return
    post.slug = fallback_slug(post)
    await insert(session, post)


def next_free_number() -> Select:
    """Counts on from 2 while a post has that number. To look for a thousand slugs at once would take a hundred times as
    long: SQLAlchemy makes a parameter of each.
    """
    number = select(literal(2).label("number")).cte("numbers", recursive=True)
    slug = bindparam("slug", type_=String) + "-" + cast(number.c.number, String)
    is_taken = select(Post.id).where(Post.slug == slug).exists()
    number = number.union_all(select(number.c.number + 1).where(number.c.number < MOST, is_taken))
    return select(func.max(number.c.number))


FIRST_FREE = next_free_number()


def plain_slug(post: Post) -> str:
    return slugify(post.title) or "post"


def fallback_slug(post: Post) -> str:
    """Unique by the post's own id, for the thousandth post of one title."""
    return f"{plain_slug(post)}-{post.id.hex[-12:]}"
