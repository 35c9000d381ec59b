"""Sessions and transactions: all changes of a scope are committed together, or none is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC

import pytest
from sqlalchemy import bindparam, delete, select, text, update
from sqlalchemy import insert as insert_into
from sqlalchemy.exc import IntegrityError, InvalidRequestError, NoResultFound

from models import Database, Order, Post, PostStatus, RefreshToken, Tag, User, new_id
from models.database.prepared import PreparedStatement
from models.database.upserts import insert, insert_ignore
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


async def test_changes_of_an_entity_are_flushed_before_the_next_statement_and_at_the_end(db: Database) -> None:
    await write(db, "One", "Two")
    async with db.writing() as session:
        one = await session.scalar(select(Tag).where(Tag.name == "One"))
        one.name = "First"
        assert list(await session.scalars(select(Tag.name).order_by(Tag.name))) == ["First", "Two"]
        one.name = "Last"
    assert await names(db) == ["Last", "Two"]


async def test_only_changed_columns_are_updated(db: Database) -> None:
    user = User(name="Ann", email="ann@example.com")
    async with db.writing() as session:
        session.add(user)
    async with db.writing() as session:
        ann = await session.get_one(User, user.id)
        await session.execute(text("update users set email = 'other@example.com'"))
        ann.name = "Anna"
    async with db.reading() as session:
        assert (await session.execute(select(User.name, User.email))).all() == [("Anna", "other@example.com")]


async def test_a_row_is_one_object_per_session_and_is_refreshed_by_each_select(db: Database) -> None:
    (tag,) = await write(db, "One")
    async with db.writing() as session:
        first = await session.get(Tag, tag.id)
        await session.execute(update(Tag).values(name="Other"))
        second, name = (await session.execute(select(Tag, Tag.name))).one()
        assert (second is first, first.name, name) == (True, "Other", "Other")
        assert await session.get(Tag, new_id()) is None
        with pytest.raises(NoResultFound):
            await session.get_one(Tag, new_id())


async def test_a_relationship_that_was_not_loaded_raises(db: Database) -> None:
    """It is neither loaded by accident nor taken for empty."""
    user = User(name="Ann", email=None)
    async with db.writing() as session:
        session.add(user)
        session.add(post := Post(title="A post", slug="a-post", content="Text", author_id=user.id))
    async with db.reading() as session:
        read = await session.get_one(Post, post.id)
    with pytest.raises(InvalidRequestError):
        _ = read.tags


async def test_an_added_row_may_be_changed_after_the_flush(db: Database) -> None:
    async with db.writing() as session:
        session.add(tag := Tag(name="One", slug="one"))
        await session.flush()
        tag.name = "Two"
    assert await names(db) == ["Two"]


async def test_values_of_every_type_are_read_as_they_were_written(db: Database) -> None:
    """UUIDs, timestamps, enums, None."""
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


async def test_a_prepared_statement_returns_what_the_session_returns(db: Database) -> None:
    """Rows with UUIDs, timestamps, enums and None, from literals and parameters."""
    columns = Order.id, Order.status, Order.created_at, Order.paid_at, Order.currency
    statement = select(*columns).where(Order.price_id == bindparam("price"), Order.status == OrderStatus.PAID)
    user = User(name="Ann", email=None)
    async with db.writing() as session:
        await insert(session, user)
        session.add_all([Order(user_id=user.id, price_id="price", status=status) for status in OrderStatus])
        rows = await PreparedStatement(statement, db.engine.dialect).select(session, price="price")
        expected = (await session.execute(statement, {"price": "price"})).all()
    assert [tuple(row) for row in rows] == [tuple(row) for row in expected]
    assert (rows[0].status, rows[0].created_at.tzinfo, rows[0].paid_at) == (OrderStatus.PAID, UTC, None)


async def test_an_error_rolls_back(db: Database) -> None:

    async def fail() -> None:
        async with db.writing() as session:
            await insert_ignore(session, tag("One"))
            session.add(Tag(name="Two", slug="two"))
            raise NotFound

    with pytest.raises(NotFound):
        await fail()
    assert await names(db) == []


async def test_a_savepoint_is_rolled_back_alone(db: Database) -> None:
    """In the database, and in the entities that were loaded before."""
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


async def test_a_conflicting_row_is_ignored_or_raises_an_integrity_error(db: Database) -> None:
    await write(db, "One")
    async with db.writing() as session:
        assert await insert_ignore(session, Tag(name="Again", slug="one"), conflict_on="slug") == 0
        assert await insert_ignore(session, tag("Two"), conflict_on="slug") == 1
        assert await insert_ignore(session, tag("Two"), tag("Three")) == 1
    with pytest.raises(IntegrityError) as raised:
        await write(db, "One")
    assert "Again" not in str(raised.value), "errors do not contain what users wrote"
    assert await names(db) == ["One", "Three", "Two"]


async def test_many_rows_are_inserted_at_once(db: Database) -> None:
    rows = [{"id": new_id(), "name": f"Tag {number}", "slug": f"tag-{number}"} for number in range(50)]
    async with db.writing() as session:
        await session.execute(insert_into(Tag.__table__), rows)
        gone = delete(Tag).where(Tag.slug.in_([row["slug"] for row in rows[10:]])).returning(Tag.slug)
        assert len(list(await session.scalars(gone))) == 40
    with pytest.raises(IntegrityError):
        async with db.writing() as session:
            await session.execute(insert_into(Tag.__table__), rows)
    assert len(await names(db)) == 10


async def test_a_transaction_with_a_suppressed_error_raises_at_commit(postgres_url: str) -> None:
    """PostgreSQL rolls it back, and says so only in the status of COMMIT."""
    db = Database(postgres_url)
    await write(db, "One")

    async def suppress_error() -> None:
        async with db.writing() as session:
            await insert_ignore(session, tag("Two"))
            with suppress(IntegrityError):
                await session.execute(insert_into(Tag.__table__), tag("One").model_dump())

    with pytest.raises(RuntimeError, match="Nothing was committed"):
        await suppress_error()
    assert await names(db) == ["One"]
    await db.close()


async def test_a_cancelled_transaction_is_rolled_back_and_returns_its_connection(postgres_url: str) -> None:
    """In the middle of a statement."""
    db = Database(postgres_url, pool_size=1)

    async def slow() -> None:
        async with db.writing() as session:
            await insert_ignore(session, tag("One"))
            await session.execute(text("select pg_sleep(20)"))

    pid = await backend_pid(db)
    task = asyncio.create_task(slow())
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(3):
        assert await names(db) == []
        assert await backend_pid(db) == pid
    await db.close()


async def backend_pid(db: Database) -> int:
    async with db.reading() as session:
        return await session.scalar(text("select pg_backend_pid()"))


def test_a_new_row_has_its_defaults_and_derived_columns_before_it_is_written() -> None:
    post = Post(title="Straße", content="Text", author_id=new_id())
    given = post.folded_title, post.folded_content, post.status, post.version, post.excerpt, post.created_at.tzinfo
    assert given == ("strasse", "text", PostStatus.DRAFT, 1, None, UTC)
    assert Post(title="Two", content="Text", author_id=new_id()).id != post.id
    assert Post(title="Two", content="Text", author_id=new_id(), version=3).version == 3
    with pytest.raises(KeyError):
        Post(titel="Two")
