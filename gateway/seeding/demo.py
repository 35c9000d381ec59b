"""The demo: two accounts with public passwords, a few generated users and posts, and some written by hand."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, select

from gateway.seeding.generator import Account, ExistingData, Generator, SeedSizes
from gateway.seeding.writer import analyze, no_progress, open_database, seeded_random, write
from models import Post, PostStatus, User, utcnow
from models.events import invalidate_all
from resolvers.slugs import slugify

DEMO = Account("Demo", "demo@dovetail.example", "USER", "dovetail-demo")
ADMIN = Account("Admin", "admin@dovetail.example", "ADMIN", "dovetail-admin")
SIZES = SeedSizes(users=14, posts=60, comments=240, likes=300, tags_per_post=3, tags=28, categories=6)

WELCOME = """\
This is a sample blog about things that people make, served by Dovetail.

Query it at /graphql, or call /api/posts: both use the same entities and the same rules. Sign in with the demo account
to write, like and comment, and with the admin account to edit what others wrote.

To reset the demo, delete the data folder and start the server again."""

SOUTH = """\
Vom Hafen bis zum Pass sind es vierzig Kilometer, und jeder davon ist Straße. Wer STRASSE sucht, findet ihn auch.

Mitzunehmen: eine Karte, ein Ersatzschlauch und Geduld."""

GRAIN = """\
木は切られたあとも動きます。湿度が変わると、板は幅の方向に伸び縮みします。

だから蟻継ぎは、木目にそって動けるように作ります。"""

DRAFT = """\
Only its author and admins see a draft. Publish this one and it appears at the top of everyone's list.

To do: draw the tails, mark the pins from them, and cut on the right side of the line."""


@dataclass(frozen=True, slots=True)
class DemoPost:
    """A post of the demo account. `age` is the time since it was written."""

    title: str
    content: str
    category: str | None
    age: timedelta
    status: PostStatus = PostStatus.PUBLISHED


DEMO_POSTS = (
    DemoPost("Die große Straße nach Süden", SOUTH, "Cycling", timedelta(minutes=100)),
    DemoPost("木を読む", GRAIN, "Woodwork", timedelta(minutes=80)),
    DemoPost("Welcome to Dovetail", WELCOME, None, timedelta(minutes=50)),
    DemoPost("How to cut a dovetail", DRAFT, "Woodwork", timedelta(minutes=10), PostStatus.DRAFT),
)


async def demo(url: str) -> Account | None:
    """Fill an empty, migrated database with demo data.

    Returns the account to sign in with, or None if the database contains other data.
    """
    async with open_database(url) as db:
        async with db.writing() as session:
            if await session.scalar(select(func.count()).select_from(User)):
                demo_id = await session.scalar(select(User.id).where(User.email == DEMO.email))
                return DEMO if demo_id else None
            random = await seeded_random(session, seed=0)
            generator = Generator(SIZES, ExistingData(), random=random, now=utcnow(), accounts=(DEMO, ADMIN))
            for table in generator:
                await write(session, table, no_progress)
            session.add_all(demo_posts(generator))
            invalidate_all(session)
        await analyze(db)
    return DEMO


def demo_posts(generator: Generator) -> Iterator[Post]:
    """Yield the demo account's handwritten posts, which are newer than all generated ones."""
    for post in DEMO_POSTS:
        created = generator.now - post.age
        yield Post(
            id=generator.uuid7_at(created),
            title=post.title,
            slug=slugify(post.title),
            content=post.content,
            excerpt=post.content.partition("\n")[0],
            status=post.status,
            author_id=generator.user_ids[0],
            category_id=generator.categories.get(post.category),
            published_at=created if post.status is PostStatus.PUBLISHED else None,
            created_at=created,
            updated_at=created,
        )
