"""The demo: two accounts whose passwords are no secret, a small crowd, and a few posts written by hand."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, select

from gateway.seeding.generator import Account, ExistingData, Generator, SeedSizes
from gateway.seeding.writer import analyze, no_progress, opened, seeded_random, write
from models import Post, PostStatus, User, utcnow
from models.events import invalidate_all
from resolvers.slugs import slugify

DEMO = Account("Demo", "demo@dovetail.example", "USER", "dovetail-demo")
ADMIN = Account("Admin", "admin@dovetail.example", "ADMIN", "dovetail-admin")
AMOUNTS = SeedSizes(users=14, posts=60, comments=240, likes=300, tags_per_post=3, tags=28, categories=6)

WELCOME = """\
This is a made-up weblog about things that people make, served by Dovetail.

Open /graphql and ask for it, or call /api/posts: both answer from the same entities, by the same rules. Sign in as the
demo account to write, like and comment. What the demo account may not do, the admin account may.

Remove the data folder and start again to have it as it was."""

SOUTH = """\
Vom Hafen bis zum Pass sind es vierzig Kilometer, und jeder davon ist Straße. Wer STRASSE sucht, findet ihn auch.

Mitzunehmen: eine Karte, ein Ersatzschlauch und Geduld."""

GRAIN = """\
木は切られたあとも動きます。湿度が変わると、板は幅の方向に伸び縮みします。

だから蟻継ぎは、木目にそって動けるように作ります。"""

UNFINISHED = """\
Only its author and admins see a draft. Publish this one and it appears at the top of everyone's list.

To do: draw the tails, mark the pins from them, and cut on the right side of the line."""


@dataclass(frozen=True, slots=True)
class DemoPost:
    """A post by hand: what it says, where it is filed, and how long ago it was written."""

    title: str
    content: str
    category: str | None
    ago: timedelta
    status: PostStatus = PostStatus.PUBLISHED


BY_HAND = (
    DemoPost("Die große Straße nach Süden", SOUTH, "Cycling", timedelta(minutes=100)),
    DemoPost("木を読む", GRAIN, "Woodwork", timedelta(minutes=80)),
    DemoPost("Welcome to Dovetail", WELCOME, None, timedelta(minutes=50)),
    DemoPost("How to cut a dovetail", UNFINISHED, "Woodwork", timedelta(minutes=10), PostStatus.DRAFT),
)


async def demo(url: str) -> Account | None:
    """Fill an empty, migrated database with a little to look at; says whom to sign in as, if these data are there."""
    async with opened(url) as db:
        async with db.writing() as session:
            if await session.scalar(select(func.count()).select_from(User)):
                known = await session.scalar(select(User.id).where(User.email == DEMO.email))
                return DEMO if known else None
            chance = await seeded_random(session, seed=0)
            sheets = Generator(AMOUNTS, ExistingData(), chance=chance, now=utcnow(), accounts=(DEMO, ADMIN))
            for sheet in sheets:
                await write(session, sheet, no_progress)
            session.add_all(demo_posts(sheets))
            invalidate_all(session)
        await analyze(db)
    return DEMO


def demo_posts(sheets: Generator) -> Iterator[Post]:
    """The demo account's own posts, newer than all others."""
    for post in BY_HAND:
        moment = sheets.now - post.ago
        yield Post(
            id=sheets.uuid7_at(moment),
            title=post.title,
            slug=slugify(post.title),
            content=post.content,
            excerpt=post.content.partition("\n")[0],
            status=post.status,
            author_id=sheets.user_ids[0],
            category_id=sheets.categories.get(post.category),
            published_at=moment if post.status is PostStatus.PUBLISHED else None,
            created_at=moment,
            updated_at=moment,
        )
