"""Write generated rows to the tables, the fastest way that each database has."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import islice
from random import Random

from sqlalchemy import func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

from gateway.seeding.generator import ExistingData, Row, TableRows
from models import Category, Database, Post, Tag, User

BATCH_SIZE = 5_000

Progress = Callable[[str, int, int], None]
"""Called with a table's name, the number of rows written so far, and the total."""


def no_progress(table: str, written: int, total: int) -> None:
    """Report nothing."""


@asynccontextmanager
async def open_database(url: str) -> AsyncIterator[Database]:
    db = Database(url)
    try:
        yield db
    finally:
        await db.close()


async def clear(session: AsyncSession) -> None:
    for table in reversed(SQLModel.metadata.sorted_tables):
        await session.execute(table.delete())


async def load_existing(session: AsyncSession) -> ExistingData:
    return ExistingData(
        emails=set(await session.scalars(select(User.email))),
        slugs=set(await session.scalars(select(Post.slug))),
        categories={slug: id for id, slug in await session.execute(select(Category.id, Category.slug))},
        tags={slug: id for id, slug in await session.execute(select(Tag.id, Tag.slug))},
    )


async def seeded_random(session: AsyncSession, seed: int) -> Random:
    """Return a generator that depends on the seed and the number of existing rows, so that a second run differs."""
    users = await session.scalar(select(func.count()).select_from(User))
    posts = await session.scalar(select(func.count()).select_from(Post))
    return Random(f"{seed}/{users}/{posts}")  # noqa: S311  not used for secrets


async def write(session: AsyncSession, table: TableRows, progress: Progress) -> None:
    """Insert rows with COPY on Postgres and batches of INSERTs on SQLite, in the session's transaction."""
    name, written = table.entity.__tablename__, 0
    progress(name, 0, table.total)
    while rows := list(islice(table.rows, BATCH_SIZE)):
        await (copy if session.bind.dialect.name == "postgresql" else insert_many)(session, table, rows)
        written += len(rows)
        progress(name, written, table.total)


async def copy(session: AsyncSession, table: TableRows, rows: list[Row]) -> None:
    raw = await (await session.connection()).get_raw_connection()
    await raw.driver_connection.copy_records_to_table(table.entity.__tablename__, columns=table.columns, records=rows)


async def insert_many(session: AsyncSession, table: TableRows, rows: list[Row]) -> None:
    await session.execute(insert(table.entity.__table__), [dict(zip(table.columns, row, strict=True)) for row in rows])


async def analyze(db: Database) -> None:
    """Update the query planner's statistics, so that the first queries after seeding already get good plans."""
    if db.is_sqlite:
        async with db.writing() as session:
            await session.execute(text("ANALYZE"))
    else:
        async with db.reading() as session:  # outside of a transaction, as VACUUM must be
            await session.execute(text("VACUUM ANALYZE"))
