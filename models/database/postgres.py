"""PostgreSQL over asyncpg: connection settings, transactions, and what its errors mean."""

import socket
from collections.abc import Sequence
from typing import Any

import asyncpg
from sqlalchemy import URL
from sqlalchemy.dialects.postgresql.asyncpg import dialect
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

CONNECT_TIMEOUT = 5.0
STATEMENT_CACHE_SIZE = 500
"""Prepared statements that each connection keeps."""
KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, KEEPALIVE_COUNT = 10, 5, 3
"""TCP keepalive: seconds of silence before the first probe, seconds between probes, unanswered probes."""

UNAVAILABLE_SQLSTATES = ("08", "25006", "40", "53", "55P03", "57", "58")
"""Prefixes of SQLSTATEs that are no fault of the statement: connection lost, read-only server, serialization failure,
disk full, lock timeout, statement timeout or shutdown, system error."""
STALE_PLAN_ERRORS = asyncpg.InvalidCachedStatementError, asyncpg.OutdatedSchemaCacheError
"""A migration changed the statement's result type since this connection prepared it. The next attempt succeeds."""
ERRORS = asyncpg.PostgresError, asyncpg.InterfaceError
INTEGRITY_ERROR = asyncpg.IntegrityConstraintViolationError
CONNECT_ERRORS = OSError, TimeoutError, *ERRORS
"""What `connect` raises if there is no connection to be had, for whatever reason the server gives."""
CLOSING_ERRORS = asyncpg.OperatorInterventionError, asyncpg.InternalClientError
"""The server ends the connection. asyncpg raises the second while the server has announced it, but not yet done it."""


class KeepaliveConnection(asyncpg.Connection):
    """A connection whose socket sends TCP keepalives. The kernel's default would notice a dead server after hours."""

    __slots__ = ()

    def __init__(self, protocol: Any, transport: Any, *args: Any, **options: Any) -> None:
        super().__init__(protocol, transport, *args, **options)
        enable_keepalive(transport.get_extra_info("socket"))


def enable_keepalive(sock: socket.socket | None) -> None:
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    options = {"TCP_KEEPIDLE": KEEPALIVE_IDLE, "TCP_KEEPINTVL": KEEPALIVE_INTERVAL, "TCP_KEEPCNT": KEEPALIVE_COUNT}
    for name, value in options.items():
        if hasattr(socket, name):  # macOS has another name for the first
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def connect_args(statement_timeout: float | None = None, **settings: str) -> dict[str, Any]:
    """Return arguments of `asyncpg.connect`, apart from the address. `settings` are PostgreSQL session settings.

    The server ends a statement that takes longer than `statement_timeout` seconds. If the server is silent, asyncpg
    gives up a second later. The server in turn detects a lost client in the same time and releases its locks.
    """
    arguments: dict[str, Any] = {"timeout": CONNECT_TIMEOUT, "connection_class": KeepaliveConnection}
    settings = {"timezone": "UTC", "jit": "off", **settings}
    if statement_timeout is not None:
        arguments["command_timeout"] = statement_timeout + 1
        settings |= {
            "statement_timeout": str(int(statement_timeout * 1000)),
            "idle_in_transaction_session_timeout": str(int(3 * statement_timeout * 1000)),
            "tcp_keepalives_idle": str(KEEPALIVE_IDLE),
            "tcp_keepalives_interval": str(KEEPALIVE_INTERVAL),
            "tcp_keepalives_count": str(KEEPALIVE_COUNT),
        }
    return {**arguments, "server_settings": settings}


async def connect(url: URL, statement_timeout: float, **settings: str) -> asyncpg.Connection:
    """Open a connection outside of SQLAlchemy, with the settings that the engine's connections have.

    asyncpg caches prepared statements of any length: long ones gain the most.
    """
    _, address = dialect().create_connect_args(url)
    cache = {"statement_cache_size": STATEMENT_CACHE_SIZE, "max_cacheable_statement_size": 0}
    return await asyncpg.connect(**address, **connect_args(statement_timeout, **settings), **cache)


def create_engine(url: URL, statement_timeout: float | None, **options: Any) -> AsyncEngine:
    arguments = {**connect_args(statement_timeout), "prepared_statement_cache_size": STATEMENT_CACHE_SIZE}
    return create_async_engine(url, connect_args=arguments, **options)


async def begin(driver: asyncpg.Connection, *, read_only: bool) -> None:
    """Begin a transaction, unless the session only reads: each of its statements sees what is committed anyway."""
    if not read_only:
        await driver.execute("BEGIN")
    elif driver.is_closed():
        raise asyncpg.ConnectionDoesNotExistError("The server closed the connection")


async def commit(driver: asyncpg.Connection) -> None:
    """Commit. Raise `RuntimeError` if a statement had failed: the server rolls back then, which its status tells."""
    if driver.is_in_transaction() and await driver.execute("COMMIT") != "COMMIT":
        raise RuntimeError("Nothing was committed, because a statement had failed")


async def rollback(driver: asyncpg.Connection) -> None:
    if driver.is_in_transaction():
        await driver.execute("ROLLBACK")


async def fetch(driver: asyncpg.Connection, sql: str, parameters: Sequence[Any]) -> Sequence[Sequence[Any]]:
    """Execute a statement and return its rows. asyncpg prepares it once for each connection."""
    return await driver.fetch(sql, *parameters)


def is_lost(driver: asyncpg.Connection, error: BaseException) -> bool:
    """Return whether the connection is lost, although another one may work."""
    return driver.is_closed() or isinstance(error, CLOSING_ERRORS)


def is_silent(error: BaseException | None) -> bool:
    """Return whether the server did not answer in time, so that the connection must not be used again."""
    return isinstance(error, TimeoutError | asyncpg.InternalClientError)


def is_unavailable(error: BaseException) -> bool:
    """Return whether the database failed rather than the statement, so that the same may succeed a little later.

    A parameter of the wrong type is an `InterfaceError` of asyncpg, too, but it is also a `ValueError`.
    """
    if isinstance(error, OSError | TimeoutError | asyncpg.InterfaceError | asyncpg.InternalClientError):
        return not isinstance(error, ValueError)
    if isinstance(error, STALE_PLAN_ERRORS):
        return True
    return (getattr(error, "sqlstate", None) or "").startswith(UNAVAILABLE_SQLSTATES)


def exceeds_limits(error: BaseException) -> bool:
    """Return whether a statement or a value is larger than PostgreSQL can process."""
    return isinstance(error, asyncpg.ProgramLimitExceededError)
