"""Slugs: readable words for an address, made once."""

from slugify import slugify
from sqlalchemy import Select, String, bindparam, cast, func, literal, select

from models import Post
from models.database.advisory_lock import take_turns
from models.database.transaction import Transaction

LONGEST = 80
SYMBOLS = [["+", " plus "], ["#", " sharp "], ["&", " and "]]
"""Signs that tell names apart: C++ is not C#."""
MOST = 1000
"""Below this the posts of one title are numbered."""


def slug_of(text: str) -> str:
    """Words of ASCII letters and digits, or nothing where the text has none in any script."""
    return slugify(text, max_length=LONGEST, word_boundary=True, replacements=SYMBOLS)


async def insert_with_slug(session: Transaction, post: Post) -> None:
    """Write a new post under its title's slug, or the same with the smallest number that makes it unique.

    Most titles are nobody's yet, so the first is tried without looking. Those who write posts of one title at once then
    go one by one: each would take the number that the one before is about to have.
    """
    plain = post.slug = plain_slug(post)
    if await session.insert(post, unless="slug"):
        return
    await take_turns(session, [f"slug {plain}"])
    while (number := await session.scalar(FIRST_FREE, {"slug": plain})) < MOST:
        post.slug = f"{plain}-{number}"
        if await session.insert(post, unless="slug"):
            return
    post.slug = last_resort(post)
    await session.insert(post)


def first_free() -> Select:
    """Counts on from 2 while a post has that number. To look for a thousand slugs at once would take a hundred times as
    long: SQLAlchemy makes a parameter of each.
    """
    number = select(literal(2).label("number")).cte("numbers", recursive=True)
    slug = bindparam("slug", type_=String) + "-" + cast(number.c.number, String)
    is_taken = select(Post.id).where(Post.slug == slug).exists()
    number = number.union_all(select(number.c.number + 1).where(number.c.number < MOST, is_taken))
    return select(func.max(number.c.number))


FIRST_FREE = first_free()


def plain_slug(post: Post) -> str:
    return slug_of(post.title) or "post"


def last_resort(post: Post) -> str:
    """Unique by the post's own id, for the thousandth post of one title."""
    return f"{plain_slug(post)}-{post.id.hex[-12:]}"
