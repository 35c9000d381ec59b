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

from gateway.settings import InvalidSettings, Settings
from gateway.tasks.migrations import DatabaseNotMigrated, check_migrated
from models import Database
from models.errors import APIError
from resolvers.ports import StorageUnavailable

FAILED, WRONG = 1, 2
"""Exit codes: it did not work; it was asked for wrongly."""

Answer = TypeVar("Answer")


def read_settings() -> Settings:
    try:
        return Settings()
    except InvalidSettings as error:
        abort(f"A setting is wrong.\n{error}", WRONG)


def run(settings: Settings, task: Coroutine[Any, Any, Answer]) -> Answer:
    """Do it, or end with a sentence that an operator can act on."""
    try:
        return asyncio.run(task)
    except APIError as error:
        abort(
            error.message
            if error.__cause__ is None
            else f"{failed_component(error.__cause__, settings)}: {error.__cause__}"
        )
    except (OSError, DBAPIError, PostgresError, TimeoutError) as error:
        abort(f"{display_url(settings)}: {getattr(error, 'orig', None) or error}")
    except DatabaseNotMigrated as error:
        abort(str(error))
    except CommandError as error:
        abort(str(error), WRONG)


def with_database(settings: Settings, task: Callable[[Database], Awaitable[Answer]]) -> Answer:
    """Do it to the database as it is: only `serve`, `seed` and `migrate` bring one up to date."""
    return run(settings, open_database(settings.database_url, task))


async def open_database(url: str, task: Callable[[Database], Awaitable[Answer]]) -> Answer:
    await check_migrated(url)
    db = Database(url)
    try:
        return await task(db)
    finally:
        await db.close()


def confirm(question: str, *, yes: bool) -> None:
    """Go on if that was said beforehand, or is now; where nobody can be asked, it was not."""
    if not yes and not sys.stdin.isatty():
        abort(f"{question} There is no terminal to ask at; --yes says so")
    if not yes:
        typer.confirm(question, abort=True)


def display_url(settings: Settings) -> str:
    """Which database, without its password."""
    return make_url(settings.database_url).render_as_string(hide_password=True)


def failed_component(cause: BaseException, settings: Settings) -> str:
    """What could not do its part: where files are kept, else the database."""
    return display_storage_url(settings) if isinstance(cause, StorageUnavailable) else display_url(settings)


def display_storage_url(settings: Settings) -> str:
    """Which storage, without what may be secret in its address."""
    url = urlsplit(settings.upload_url)
    return url._replace(netloc=url.netloc.rpartition("@")[2], query="", fragment="").geturl()


def abort(words: str, code: int = FAILED) -> NoReturn:
    typer.echo(words, err=True)
    raise typer.Exit(code)
