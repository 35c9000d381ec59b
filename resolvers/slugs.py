"""Slugs: readable words for an address, made once."""

from collections.abc import Iterator

from slugify import slugify
from sqlalchemy import select

from models import Post
from models.transactions import Transaction

LONGEST = 80
SYMBOLS = [["+", " plus "], ["#", " sharp "], ["&", " and "]]
"""Signs that tell names apart: C++ is not C#."""
BATCHES = (range(2, 10), range(10, 100), range(100, 1000))


def slug_of(text: str) -> str:
    """Words of ASCII letters and digits, or nothing where the text has none in any script."""
    return slugify(text, max_length=LONGEST, word_boundary=True, replacements=SYMBOLS)


async def insert_with_slug(session: Transaction, post: Post) -> None:
    """Write a new post under the first free slug of its title; another transaction may take one while we look.

    Most titles are nobody's yet, so the first is tried without looking.
    """
    for attempt in range(100):
        post.slug = await free_slug(session, post) if attempt else plain_slug(post)
        if await session.insert(post, unless="slug"):
            return
    post.slug = last_resort(post)
    await session.insert(post)


async def free_slug(session: Transaction, post: Post) -> str:
    """The title's own slug, or the same with the smallest number that makes it unique."""
    for batch in candidates(plain_slug(post)):
        taken = set(await session.scalars(select(Post.slug).where(Post.slug.in_(batch))))
        for slug in batch:
            if slug not in taken:
                return slug
    return last_resort(post)


def plain_slug(post: Post) -> str:
    return slug_of(post.title) or "post"


def candidates(slug: str) -> Iterator[list[str]]:
    yield [slug]
    for numbers in BATCHES:
        yield [f"{slug}-{number}" for number in numbers]


def last_resort(post: Post) -> str:
    """Unique by the post's own id, for the thousandth post of one title."""
    return f"{plain_slug(post)}-{post.id.hex[-12:]}"
