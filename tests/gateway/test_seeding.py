"""Made-up data are whole: as much as was asked for, and what the operations would have kept true is true."""

from datetime import timedelta
from random import Random
from uuid import UUID

import pytest
from sqlalchemy import func, select, text

from gateway.seeding import SeedSizes, demo, seed
from gateway.seeding.generator import EPOCH, ExistingData, Generator
from models import Comment, Database, Like, Post, PostStatus, PostTag, Tag, User, utcnow
from models.search_text import casefold_text
from resolvers.passwords import verify_password

SOME = SeedSizes(users=20, posts=50, comments=120, likes=300, tags_per_post=2, tags=30, categories=5)


@pytest.fixture
async def session(database_url):
    db = Database(database_url)
    async with db.reading() as session:
        yield session
    await db.close()


async def count(session, entity) -> int:
    return await session.scalar(select(func.count()).select_from(entity))


async def counts(session) -> list[int]:
    return [await count(session, it) for it in (User, Post, Comment, Like, PostTag, Tag)]


async def test_as_many_rows_are_added_as_were_asked_for(database_url, session):
    await seed(database_url, SOME)
    assert await counts(session) == [20, 50, 120, 300, 100, 30]


async def test_counters_are_true(database_url, session):
    await seed(database_url, SOME)
    comments = select(func.count()).where(Comment.post_id == Post.id).scalar_subquery()
    likes = select(func.count()).where(Like.post_id == Post.id).scalar_subquery()
    wrong = select(Post.title).where((Post.comment_count != comments) | (Post.like_count != likes))
    assert (await session.scalars(wrong)).all() == []


async def test_what_is_searched_is_the_folded_text(database_url, session):
    await seed(database_url, SOME)
    posts = (await session.scalars(select(Post))).all()
    assert [(it.folded_title, it.folded_content) for it in posts] == [
        (casefold_text(it.title), casefold_text(it.content)) for it in posts
    ]


async def test_ids_are_of_version_7_and_follow_the_time(database_url, session):
    await seed(database_url, SOME)
    posts = (await session.scalars(select(Post).order_by(Post.id))).all()
    assert {it.id.version for it in posts} == {7}
    assert [it.created_at for it in posts] == sorted(it.created_at for it in posts)
    assert [it.id.int >> 80 for it in posts] == [(it.created_at - EPOCH) // timedelta(milliseconds=1) for it in posts]


async def test_nothing_is_said_before_it_could_have_been(database_url, session):
    await seed(database_url, SOME)
    early = select(Comment).join(Comment.post).where(Comment.created_at < Post.published_at)
    future = select(Post).where((Post.updated_at > utcnow()) | (Post.created_at > Post.updated_at))
    hidden = select(Comment).join(Comment.post).where(Post.status != PostStatus.PUBLISHED)
    assert [(await session.scalars(it)).all() for it in (early, future, hidden)] == [[], [], []]


async def test_a_second_run_adds_to_the_first(database_url, session):
    await seed(database_url, SOME)
    await seed(database_url, SOME)
    assert await counts(session) == [
        40,
        100,
        240,
        600,
        200,
        30,
    ]


async def test_a_fresh_run_replaces_what_was_there(database_url, session):
    await seed(database_url, SOME)
    await seed(database_url, SeedSizes(users=1, posts=1, comments=0, likes=1), fresh=True)
    assert [await count(session, it) for it in (User, Post, Comment, Like)] == [1, 1, 0, 1]


async def test_the_same_seed_writes_the_same_words(unused_database):
    first, second = [await unused_database("sqlite") for _ in range(2)]
    await seed(first, SOME, seed=7)
    await seed(second, SOME, seed=7)
    words = text("SELECT title, slug, content, comment_count, like_count FROM posts ORDER BY created_at")
    assert await rows(first, words) == await rows(second, words)


async def rows(url: str, query):
    db = Database(url)
    async with db.reading() as session:
        response = (await session.execute(query)).all()
    await db.close()
    return response


@pytest.mark.parametrize(
    ("amounts", "words"),
    [
        ({"users": 0}, "posts need users"),
        ({"posts": 0, "likes": 0}, "comments need posts"),
        ({"users": 2, "posts": 3, "likes": 7}, "at most 6"),
        ({"tags": 2}, "tags_per_post"),
        ({"likes": -1}, "likes cannot be negative"),
    ],
)
def test_what_cannot_be_is_refused(amounts, words):
    with pytest.raises(ValueError, match=words):
        SeedSizes(**amounts)


async def test_progress_is_told_to_the_end(database_url):
    received = {}
    await seed(database_url, SOME, progress=lambda table, done, total: received.update({table: (done, total)}))
    assert received == {
        "categories": (5, 5),
        "tags": (30, 30),
        "users": (20, 20),
        "posts": (50, 50),
        "post_tags": (100, 100),
        "comments": (120, 120),
        "likes": (300, 300),
    }


async def test_the_demo_has_an_account_to_sign_in_with(database_url, session):
    account = await demo(database_url)
    user = await session.scalar(select(User).where(User.email == account.email))
    assert await verify_password(account.password, user.password_hash)
    newest = select(Post.title).where(Post.status == PostStatus.PUBLISHED).order_by(Post.created_at.desc()).limit(1)
    assert await session.scalar(newest) == "Welcome to Dovetail"


async def test_the_demo_is_written_once(database_url, session):
    assert await demo(database_url) == await demo(database_url)
    assert await count(session, Post) == 64


async def test_the_demo_is_never_written_among_others_data(database_url, session):
    await seed(database_url, SOME)
    assert await demo(database_url) is None
    assert await count(session, Post) == 50


def test_ids_of_the_same_moment_differ():
    nothing = SeedSizes(users=0, posts=0, comments=0, likes=0)
    generator, now = Generator(nothing, ExistingData(), random=Random(1), now=utcnow()), utcnow()
    ids = {generator.uuid7_at(now) for _ in range(1000)}
    assert len(ids) == 1000
    assert all(isinstance(id, UUID) and id.version == 7 for id in ids)
