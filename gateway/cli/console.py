"""What every command does alike: read the settings, do its work, and end with a sentence where that fails."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit

import typer
from alembic.util.exc import CommandError
from asyncpg import PostgresError
from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError

from gateway.cli.migrations import Behind, expect_current
from gateway.settings import Settings, WrongSettings
from models import Database
from models.errors import Refusal
from resolvers.ports import StorageAway

FAILED, WRONG = 1, 2
"""Exit codes: it did not work; it was asked for wrongly."""

Answer = TypeVar("Answer")


def read_settings() -> Settings:
    try:
        return Settings()
    except WrongSettings as error:
        stop(f"A setting is wrong.\n{error}", WRONG)


def work(settings: Settings, task: Coroutine[Any, Any, Answer]) -> Answer:
    """Do it, or end with a sentence that an operator can act on."""
    try:
        return asyncio.run(task)
    except Refusal as error:
        stop(error.message if error.__cause__ is None else f"{blamed(error.__cause__, settings)}: {error.__cause__}")
    except (OSError, DBAPIError, PostgresError, TimeoutError) as error:
        stop(f"{shown(settings)}: {getattr(error, 'orig', None) or error}")
    except Behind as error:
        stop(str(error))
    except CommandError as error:
        stop(str(error), WRONG)


def with_database(settings: Settings, task: Callable[[Database], Awaitable[Answer]]) -> Answer:
    """Do it to the database as it is: only `serve`, `seed` and `migrate` bring one up to date."""
    return work(settings, opened(settings.database_url, task))


async def opened(url: str, task: Callable[[Database], Awaitable[Answer]]) -> Answer:
    await expect_current(url)
    db = Database(url)
    try:
        return await task(db)
    finally:
        await db.close()


def confirm(question: str, *, yes: bool) -> None:
    """Go on if that was said beforehand, or is now; where nobody can be asked, it was not."""
    if not yes and not sys.stdin.isatty():
        stop(f"{question} There is no terminal to ask at; --yes says so")
    if not yes:
        typer.confirm(question, abort=True)


def shown(settings: Settings) -> str:
    """Which database, without its password."""
    return make_url(settings.database_url).render_as_string(hide_password=True)


def blamed(cause: BaseException, settings: Settings) -> str:
    """What could not do its part: where files are kept, else the database."""
    return shown_storage(settings) if isinstance(cause, StorageAway) else shown(settings)


def shown_storage(settings: Settings) -> str:
    """Which storage, without what may be secret in its address."""
    url = urlsplit(settings.upload_url)
    return url._replace(netloc=url.netloc.rpartition("@")[2], query="", fragment="").geturl()


def stop(words: str, code: int = FAILED) -> NoReturn:
    typer.echo(words, err=True)
    raise typer.Exit(code)
