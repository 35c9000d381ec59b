"""The data that is measured on: made once by `gateway seed`, kept, and made anew if something of it is missing."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Self

import asyncpg

from tests.benchmarks.servers import ROOT, plain
from tests.clients.packages import CACHE
from tests.support.stores import LOCAL_POSTGRES

NAME = "dovetail_bench"
PUBLIC = "status = 'PUBLISHED' and deleted_at is null"


@dataclass(frozen=True)
class Amounts:
    """How many rows a database has; what is not here is as `gateway seed` has it."""

    posts: int = 20_000
    comments: int = 100_000
    likes: int = 200_000

    @classmethod
    def of(cls, posts: int) -> Self:
        return cls(posts, 5 * posts, 10 * posts)

    @property
    def name(self) -> str:
        return f"{NAME}_{self.posts}"


STANDARD = Amounts()


def server_url() -> str:
    """The Postgres in which databases are made, without a database's name; on this machine, for it is loaded."""
    url = os.environ.get("TEST_POSTGRES_URL", LOCAL_POSTGRES)
    if not any(f"{host}:" in url or f"{host}/" in url for host in ("127.0.0.1", "localhost", "[::1]")):
        sys.exit("TEST_POSTGRES_URL is not on this machine: only loopback is loaded, and its CPU is measured here")
    return plain(url).rsplit("/", 1)[0]


def postgres(amounts: Amounts = STANDARD) -> str:
    """The URL of a database with so many rows."""
    url = f"{server_url()}/{amounts.name}"
    try:
        asyncio.run(created(amounts.name))
    except (OSError, TimeoutError) as error:
        sys.exit(f"No Postgres at {server_url()}, where the data would be: {error}")
    return filled(url.replace("postgresql://", "postgresql+asyncpg://"), amounts)


def sqlite(amounts: Amounts = STANDARD) -> str:
    """The URL of a file with so many rows, kept in the user's cache folder."""
    CACHE.mkdir(parents=True, exist_ok=True)
    return filled(f"sqlite+aiosqlite:///{CACHE / amounts.name}.db", amounts)


def filled(url: str, amounts: Amounts) -> str:
    """Brought up to date, and seeded unless every row is there."""
    gateway(url, "migrate")
    if counted(url) != asdict(amounts):
        sizes = [f"--{name}={count}" for name, count in asdict(amounts).items()]
        gateway(url, "seed", "--fresh", "--yes", *sizes)
    return url


def counted(url: str) -> dict[str, int]:
    return {name: rows(url, f"select count(*) from {name}")[0] for name in asdict(STANDARD)}


def public_posts(url: str, limit: int = 5_000) -> list[str]:
    """Ids of published posts."""
    return [str(id) for id in rows(url, f"select id from posts where {PUBLIC} order by id limit {limit}")]


def rows(url: str, query: str) -> list[Any]:
    """The first column of what a query finds."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.partition(":///")[2])) as connection:
            return [row[0] for row in connection.execute(query)]
    return asyncio.run(fetched(url, query))


async def fetched(url: str, query: str) -> list[Any]:
    connection = await asyncpg.connect(plain(url))
    try:
        return [row[0] for row in await connection.fetch(query)]
    finally:
        await connection.close()


async def created(name: str, template: str = "template1") -> None:
    connection = await asyncpg.connect(f"{server_url()}/postgres")
    try:
        if not await connection.fetchval("select true from pg_database where datname = $1", name):
            await connection.execute(f'create database "{name}" template "{template}"')
        await connection.execute("checkpoint")
    finally:
        await connection.close()


async def dropped(name: str) -> None:
    connection = await asyncpg.connect(f"{server_url()}/postgres")
    try:
        await connection.execute(f'drop database if exists "{name}" with (force)')
    finally:
        await connection.close()


@contextmanager
def copied(amounts: Amounts = STANDARD) -> Iterator[str]:
    """A copy to be written to, until the scope is left."""
    name = f"{amounts.name}_copy"
    asyncio.run(dropped(name))
    asyncio.run(created(name, amounts.name))
    try:
        yield f"{server_url()}/{name}".replace("postgresql://", "postgresql+asyncpg://")
    finally:
        asyncio.run(dropped(name))


def gateway(url: str, *command: str) -> None:
    environment = {**os.environ, "DATABASE_URL": url, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-m", "gateway", *command], env=environment, check=True, stdout=subprocess.DEVNULL)
