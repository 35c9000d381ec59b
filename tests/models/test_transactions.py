"""What is written while a scope is open: all of it, as it is when the scope is left; or nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC

import pytest
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.exc import IntegrityError, InvalidRequestError, NoResultFound

from models import Database, Order, Post, PostStatus, RefreshToken, Tag, User, new_id
from models.database.upserts import insert_ignore
from models.errors import NotFound
from models.payments import OrderStatus

pytestmark = pytest.mark.anyio


@pytest.fixture
async def db(database_url: str, anyio_backend: str) -> AsyncIterator[Database]:
    db = Database(database_url, pool_size=2)
    yield db
    assert db.connections_in_use == 0
    await db.close()


async def write(db: Database, *names: str) -> list[Tag]:
    tags = [Tag(name=name, slug=name.lower()) for name in names]
    async with db.writing() as session:
        session.add_all(tags)
    return tags


def tag(name: str) -> Tag:
    return Tag(name=name, slug=name.lower())


async def names(db: Database) -> list[str]:
    async with db.reading() as session:
        return list(await session.scalars(select(Tag.name).order_by(Tag.name)))


async def test_what_is_changed_of_an_entity_is_written(db: Database) -> None:
    """Before the next statement, which sees it, and at the end."""
    await write(db, "One", "Two")
    async with db.writing() as session:
        one = await session.scalar(select(Tag).where(Tag.name == "One"))
        one.name = "First"
        assert list(await session.scalars(select(Tag.name).order_by(Tag.name))) == ["First", "Two"]
        one.name = "Last"
    assert await names(db) == ["Last", "Two"]


async def test_only_what_is_changed_is_written(db: Database) -> None:
    """What another column became meanwhile stands."""
    user = User(name="Ann", email="ann@example.com")
    async with db.writing() as session:
        session.add(user)
    async with db.writing() as session:
        ann = await session.get_one(User, user.id)
        await session.execute(text("update users set email = 'other@example.com'"))
        ann.name = "Anna"
    async with db.reading() as session:
        assert (await session.execute(select(User.name, User.email))).all() == [("Anna", "other@example.com")]


async def test_a_row_is_one_object_as_the_row_is_now(db: Database) -> None:
    (tag,) = await write(db, "One")
    async with db.writing() as session:
        first = await session.get(Tag, tag.id)
        await session.execute(update(Tag).values(name="Other"))
        second, name = (await session.execute(select(Tag, Tag.name))).one()
        assert (second is first, first.name, name) == (True, "Other", "Other")
        assert await session.get(Tag, new_id()) is None
        with pytest.raises(NoResultFound):
            await session.get_one(Tag, new_id())


async def test_what_belongs_to_a_row_is_never_read_by_accident(db: Database) -> None:
    """Nor taken for nothing."""
    user = User(name="Ann", email=None)
    async with db.writing() as session:
        session.add(user)
        session.add(post := Post(title="A post", slug="a-post", content="Text", author_id=user.id))
    async with db.reading() as session:
        read = await session.get_one(Post, post.id)
    with pytest.raises(InvalidRequestError):
        _ = read.tags


async def test_what_is_added_may_be_changed_on(db: Database) -> None:
    async with db.writing() as session:
        session.add(tag := Tag(name="One", slug="one"))
        await session.flush()
        tag.name = "Two"
    assert await names(db) == ["Two"]


async def test_every_kind_of_value_comes_back_as_it_was(db: Database) -> None:
    """Ids, moments, statuses, nothing."""
    user = User(name="Ann", email=None)
    order = Order(user_id=user.id, price_id="price", status=OrderStatus.PAID)
    token = RefreshToken(user_id=user.id, family_id=new_id(), token_hash="x", expires_at=order.created_at)
    written = user, order, token
    async with db.writing() as session:
        session.add(user)
        await session.flush()
        session.add_all([order, token])
    async with db.reading() as session:
        read = [await session.get_one(type(row), row.id) for row in written]
    assert [row.model_dump() for row in read] == [row.model_dump() for row in written]


async def test_a_scope_that_is_left_by_an_error_leaves_nothing(db: Database) -> None:

    async def refused() -> None:
        async with db.writing() as session:
            await insert_ignore(session, tag("One"))
            session.add(Tag(name="Two", slug="two"))
            raise NotFound

    with pytest.raises(NotFound):
        await refused()
    assert await names(db) == []


async def test_a_scope_within_is_undone_by_itself(db: Database) -> None:
    """In the database, and in what was read before it."""
    await write(db, "One")
    async with db.writing() as session:
        one = await session.scalar(select(Tag))
        one.slug = "before"
        with suppress(IntegrityError):
            async with session.begin_nested():
                one.name = "Changed"
                session.add(Tag(name="Two", slug="two"))
                await session.flush()
                session.add(Tag(name="Two again", slug="two"))
        await session.refresh(one)
        assert (one.name, one.slug) == ("One", "before")
        async with session.begin_nested():
            session.add(Tag(name="Three", slug="three"))
        one.slug = "after"
    assert await names(db) == ["One", "Three"]
    async with db.reading() as session:
        assert await session.scalar(select(Tag.slug).where(Tag.name == "One")) == "after"


async def test_a_row_that_would_clash_is_left_out_or_refused(db: Database) -> None:
    await write(db, "One")
    async with db.writing() as session:
        assert await insert_ignore(session, Tag(name="Again", slug="one"), conflict_on="slug") == 0
        assert await insert_ignore(session, tag("Two"), conflict_on="slug") == 1
        assert await insert_ignore(session, tag("Two"), tag("Three")) == 1
    with pytest.raises(IntegrityError) as refused:
        await write(db, "One")
    assert "Again" not in str(refused.value), "what people wrote is not told"
    assert await names(db) == ["One", "Three", "Two"]


async def test_many_rows_are_one_statement(db: Database) -> None:
    rows = [{"id": new_id(), "name": f"Tag {number}", "slug": f"tag-{number}"} for number in range(50)]
    async with db.writing() as session:
        await session.execute(insert(Tag.__table__), rows)
        gone = delete(Tag).where(Tag.slug.in_([row["slug"] for row in rows[10:]])).returning(Tag.slug)
        assert len(list(await session.scalars(gone))) == 40
    with pytest.raises(IntegrityError):
        async with db.writing() as session:
            await session.execute(insert(Tag.__table__), rows)
    assert len(await names(db)) == 10


async def test_an_error_that_somebody_goes_past_commits_nothing_by_half(postgres_url: str) -> None:
    """Postgres undoes all of such a transaction, and says so only of its end."""
    db = Database(postgres_url)
    await write(db, "One")

    async def careless() -> None:
        async with db.writing() as session:
            await insert_ignore(session, tag("Two"))
            with suppress(IntegrityError):
                await session.execute(insert(Tag.__table__), tag("One").model_dump())

    with pytest.raises(RuntimeError, match="Nothing was committed"):
        await careless()
    assert await names(db) == ["One"]
    await db.close()


async def test_a_cancelled_transaction_leaves_no_row_and_no_lock(postgres_url: str) -> None:
    """In the middle of a statement; the connection is of use again."""
    db = Database(postgres_url, pool_size=1)

    async def slow() -> None:
        async with db.writing() as session:
            await insert_ignore(session, tag("One"))
            await session.execute(text("select pg_sleep(20)"))

    (connection,) = {await opened(db)}
    asking = asyncio.create_task(slow())
    await asyncio.sleep(0.2)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    async with asyncio.timeout(3):
        assert await names(db) == []
        assert await opened(db) == connection
    await db.close()


async def opened(db: Database) -> int:
    async with db.reading() as session:
        return await session.scalar(text("select pg_backend_pid()"))


def test_a_new_row_is_whole_before_it_is_written() -> None:
    """With what its fields begin as, and with what follows from what it is given."""
    post = Post(title="Straße", content="Text", author_id=new_id())
    given = post.folded_title, post.folded_content, post.status, post.version, post.excerpt, post.created_at.tzinfo
    assert given == ("strasse", "text", PostStatus.DRAFT, 1, None, UTC)
    assert Post(title="Two", content="Text", author_id=new_id()).id != post.id
    assert Post(title="Two", content="Text", author_id=new_id(), version=3).version == 3
    with pytest.raises(KeyError):
        Post(titel="Two")
