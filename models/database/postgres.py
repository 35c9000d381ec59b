"""Connections to Postgres that wait for nothing without end: neither for an answer, nor for a server that is gone."""

import socket
from typing import Any

import asyncpg

SETTINGS = {"timezone": "UTC", "jit": "off"}
CONNECTING = 5.0
"""Seconds that connecting may take."""

QUIET, APART, TIMES = 10, 5, 3
"""After so many seconds of silence the other end is asked whether it is there: so many seconds apart, so often."""

AWAY = ("08", "25006", "40", "53", "55P03", "57", "58")
"""How SQLSTATEs begin that are no fault of a statement's: no connection, a server that is read-only by now, a
transaction that was chosen to give way, a full disk, a lock or a statement that took too long, a shutdown."""


def patience(longest: float) -> dict[str, Any]:
    """Of a connection's statements, in seconds. Postgres ends a long one itself; where it does not answer, we do.

    It finds out that we are gone in the same time, and lets go of what we locked.
    """
    milliseconds, idle = str(int(longest * 1000)), str(int(3 * longest * 1000))
    settings = {"statement_timeout": milliseconds, "idle_in_transaction_session_timeout": idle}
    kept_alive = {"idle": QUIET, "interval": APART, "count": TIMES}
    watched = {f"tcp_keepalives_{name}": str(value) for name, value in kept_alive.items()}
    return {
        "timeout": CONNECTING,
        "command_timeout": longest + 1,
        "server_settings": {**SETTINGS, **settings, **watched},
    }


async def connect(*args: Any, **options: Any) -> asyncpg.Connection:
    connection = await asyncpg.connect(*args, **options)
    await watch(connection)
    return connection


async def watch(connection: asyncpg.Connection) -> None:
    """Have the kernel find out whether a silent server is still there; by itself it would wait for hours."""
    line = connection._transport.get_extra_info("socket")
    if line is None or line.family not in (socket.AF_INET, socket.AF_INET6):
        return
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", QUIET), ("TCP_KEEPINTVL", APART), ("TCP_KEEPCNT", TIMES)):
        if hasattr(socket, name):  # macOS has another name for the first
            line.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


OUTDATED = asyncpg.InvalidCachedStatementError, asyncpg.OutdatedSchemaCacheError
"""A migration has changed what a statement answers with since the connection prepared it; it is prepared anew next."""


def is_away(error: BaseException) -> bool:
    """Whether it is the database that failed, and not the statement: the same may do well a little later.

    So will one that was prepared before a migration; only its transaction is lost.
    A parameter of the wrong type is an `InterfaceError` of asyncpg's too, but a fault of ours.
    """
    if isinstance(error, OSError | TimeoutError | asyncpg.InterfaceError | asyncpg.InternalClientError):
        return not isinstance(error, ValueError)
    if isinstance(error, OUTDATED):
        return True
    return (getattr(error, "sqlstate", None) or "").startswith(AWAY)
