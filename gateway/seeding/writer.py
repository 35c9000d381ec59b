"""Rows on their way into the tables, by the quickest way that each database has."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import islice
from random import Random

from sqlalchemy import func, insert, select, text
from sqlmodel import SQLModel

from gateway.seeding.generator import ExistingData, Row, TableRows
from models import Category, Database, Post, Tag, User
from models.database.transaction import Transaction

CHUNK = 5_000

Progress = Callable[[str, int, int], None]
"""Told a table, how many of its rows are written, and how many there will be."""


def no_progress(table: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    db = Database(url)
    try:
        yield db
    finally:
        await db.close()


async def clear(session: Transaction) -> None:
    for table in reversed(SQLModel.metadata.sorted_tables):
        await session.execute(table.delete())


async def load_existing(session: Transaction) -> ExistingData:
    """The names that are taken."""
    return ExistingData(
        emails=set(await session.scalars(select(User.email))),
        slugs=set(await session.scalars(select(Post.slug))),
        categories={slug: id for id, slug in await session.execute(select(Category.id, Category.slug))},
        tags={slug: id for id, slug in await session.execute(select(Tag.id, Tag.slug))},
    )


async def seeded_random(session: Transaction, seed: int) -> Random:
    """The same seed on the same data gives the same rows; a second run on top gives others."""
    users = await session.scalar(select(func.count()).select_from(User))
    posts = await session.scalar(select(func.count()).select_from(Post))
    return Random(f"{seed}/{users}/{posts}")  # noqa: S311  no secret is made of it


async def write(session: Transaction, sheet: TableRows, progress: Progress) -> None:
    """COPY on Postgres, INSERT by the thousand on SQLite; inside the session's transaction on both."""
    name = sheet.entity.__tablename__
    progress(name, 0, sheet.total)
    done = 0
    for rows in chunks(sheet.rows):
        await (copy if session.dialect.name == "postgresql" else insert_many)(session, sheet, rows)
        done += len(rows)
        progress(name, done, sheet.total)


def chunks(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while chunk := list(islice(rows, CHUNK)):
        yield chunk


async def copy(session: Transaction, sheet: TableRows, rows: list[Row]) -> None:
    await session.connection.driver.copy_records_to_table(
        sheet.entity.__tablename__, columns=sheet.columns, records=rows
    )


async def insert_many(session: Transaction, sheet: TableRows, rows: list[Row]) -> None:
    await session.execute(insert(sheet.entity.__table__), [dict(zip(sheet.columns, row, strict=True)) for row in rows])


async def analyze(db: Database) -> None:
    """Tell the planner what is there now, rather than let it find out while somebody measures."""
    if db.is_sqlite:
        async with db.writing() as session:
            await session.execute(text("ANALYZE"))
    else:
        async with db.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            await connection.execute(text("VACUUM ANALYZE"))
