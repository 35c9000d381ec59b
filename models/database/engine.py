"""The SQLAlchemy engine behind a database URL."""

from asyncio import CancelledError
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from sqlalchemy import URL, Connection, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError, EmulatedDBAPIException, IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from models.database import postgres, sqlite
from models.errors import Unavailable

POOL_TIMEOUT = 5.0
"""Seconds that a caller waits for a connection."""

Instrument = Callable[[str], AbstractContextManager[None]]


def create_engine(url: URL, *, pool_size: int = 10, statement_timeout: float | None = None) -> AsyncEngine:
    """Create an engine with at most `pool_size` connections.

    Errors hide the parameters: logs must not contain what users wrote, nor hashes.
    """
    pool = {"pool_size": pool_size, "max_overflow": 0, "pool_timeout": POOL_TIMEOUT, "pool_use_lifo": True}
    options = {**pool, "hide_parameters": True}
    if url.get_backend_name() == "sqlite":
        engine = sqlite.create_engine(url, **options)
    else:
        engine = postgres.create_engine(url, statement_timeout, **options)
    event.listen(engine.sync_engine, "handle_error", handle_error)
    return engine


def handle_error(context: ExceptionContext) -> Exception | None:
    """Have SQLAlchemy raise `Unavailable` for faults of the database."""
    error = context.original_exception
    if isinstance(error, EmulatedDBAPIException):  # asyncpg's error, in SQLAlchemy's guise
        error = error.__cause__
    if isinstance(error, CancelledError):
        context.is_disconnect = context.statement is None  # a connection whose statement was cancelled stays usable
    elif postgres.is_silent(error):
        context.is_disconnect = True
    return Unavailable() if is_unavailable(error) else None


@contextmanager
def translated_errors(sql: str) -> Iterator[None]:
    """Raise what SQLAlchemy would raise for a driver's errors."""
    try:
        yield
    except Exception as error:
        if is_unavailable(error):
            raise Unavailable from error
        if not isinstance(error, (*postgres.ERRORS, *sqlite.ERRORS)):
            raise
        is_integrity_error = isinstance(error, postgres.INTEGRITY_ERROR | sqlite.INTEGRITY_ERROR)
        kind = IntegrityError if is_integrity_error else DBAPIError
        raise kind(sql, None, error, hide_parameters=True) from error


def is_unavailable(error: BaseException) -> bool:
    return postgres.is_unavailable(error) or sqlite.is_unavailable(error)


def instrument(engine: AsyncEngine, around: Instrument) -> None:
    """Enter `around(sql)` before each statement, and exit it after the statement with its error, if any."""

    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def enter(connection: Connection, cursor: Any, sql: str, *_: Any) -> None:
        scope = around(sql)
        scope.__enter__()
        connection.info.setdefault(around, []).append(scope)

    @event.listens_for(engine.sync_engine, "after_cursor_execute")
    def leave(connection: Connection, *_: Any) -> None:
        connection.info[around].pop().__exit__(None, None, None)

    @event.listens_for(engine.sync_engine, "handle_error")
    def fail(context: ExceptionContext) -> None:
        error = context.sqlalchemy_exception or context.original_exception
        if context.connection is not None and (scopes := context.connection.info.get(around)):
            scopes.pop().__exit__(type(error), error, error.__traceback__)
