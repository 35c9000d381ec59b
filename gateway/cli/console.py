"""Helpers for all commands: read the settings, run a coroutine, and print errors in one sentence."""

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

FAILURE, USAGE_ERROR = 1, 2
"""Exit codes."""

T = TypeVar("T")


def read_settings() -> Settings:
    try:
        return Settings()
    except InvalidSettings as error:
        abort(f"The settings are invalid.\n{error}", USAGE_ERROR)


def run(settings: Settings, operation: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine. If it fails, print an error that an operator can act on, and exit."""
    try:
        return asyncio.run(operation)
    except APIError as error:
        cause = error.__cause__
        if cause is None:
            abort(error.message)
        component = display_storage_url(settings) if isinstance(cause, StorageUnavailable) else display_url(settings)
        abort(f"{component}: {cause}")
    except (OSError, DBAPIError, PostgresError, TimeoutError) as error:
        abort(f"{display_url(settings)}: {getattr(error, 'orig', None) or error}")
    except DatabaseNotMigrated as error:
        abort(str(error))
    except CommandError as error:
        abort(str(error), USAGE_ERROR)


def with_database(settings: Settings, operation: Callable[[Database], Awaitable[T]]) -> T:
    """Run an operation on the database, or exit if it is not migrated: only `serve`, `seed` and `migrate` migrate."""

    async def run_operation() -> T:
        await check_migrated(settings.database_url)
        db = Database(settings.database_url)
        try:
            return await operation(db)
        finally:
            await db.close()

    return run(settings, run_operation())


def confirm(question: str, *, yes: bool) -> None:
    """Exit unless `yes` is set or the operator confirms at the terminal."""
    if not yes and not sys.stdin.isatty():
        abort(f"{question} There is no terminal to confirm this: pass --yes")
    if not yes:
        typer.confirm(question, abort=True)


def display_url(settings: Settings) -> str:
    """Return the database's URL without its password."""
    return make_url(settings.database_url).render_as_string(hide_password=True)


def display_storage_url(settings: Settings) -> str:
    """Return the storage's URL without the parts that may contain secrets."""
    url = urlsplit(settings.upload_url)
    return url._replace(netloc=url.netloc.rpartition("@")[2], query="", fragment="").geturl()


def abort(message: str, code: int = FAILURE) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(code)
