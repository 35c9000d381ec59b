"""What every command does alike: read the settings, do its work, and end with a sentence where that fails."""

import asyncio
from collections.abc import Coroutine
from typing import Any, NoReturn, TypeVar

import typer
from alembic.util.exc import CommandError
from asyncpg import PostgresError
from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError

from gateway.migrating import Behind
from gateway.settings import Settings, WrongSettings
from models import Database
from models.errors import Refusal

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
        stop(error.message if error.__cause__ is None else f"{shown(settings)}: {error.__cause__}")
    except (OSError, DBAPIError, PostgresError, TimeoutError) as error:
        stop(f"{shown(settings)}: {getattr(error, 'orig', None) or error}")
    except Behind as error:
        stop(str(error))
    except CommandError as error:
        stop(str(error), WRONG)


async def with_database(url: str, operation: Any) -> Any:
    db = Database(url)
    try:
        return await operation(db)
    finally:
        await db.close()


def shown(settings: Settings) -> str:
    """Which database, without its password."""
    return make_url(settings.database_url).render_as_string(hide_password=True)


def stop(words: str, code: int = FAILED) -> NoReturn:
    typer.echo(words, err=True)
    raise typer.Exit(code)
